package store

import (
	"context"
	"log/slog"
	"strings"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// etcdLogger gives etcd a logger that writes to ours. What etcd finds worth an Info is a Debug here.
func etcdLogger(l *slog.Logger) *zap.Logger {
	return zap.New(&bridge{l.With("component", "etcd")})
}

// bridge is a zapcore.Core over slog.
type bridge struct{ log *slog.Logger }

// harmless are parts of what etcd warns of, or calls an error, though here it is meant so or is over by itself.
var harmless = []string{
	"Running http and grpc server on single port",  // it listens nowhere
	"exceeded recommended request limit",           // MaxBytes
	"simple token is not cryptographically signed", // nobody signs in
	"cannot campaign at term",                      // at the first start, until it has joined itself
	"Failed to detect schema version",              // the same, until the first write of its own
	"failed to update storage version",             // and what follows from that; it tries again
}

func level(e zapcore.Entry) slog.Level {
	for _, part := range harmless {
		if strings.Contains(e.Message, part) {
			return slog.LevelDebug
		}
	}
	return levelOf(e.Level)
}

func levelOf(l zapcore.Level) slog.Level {
	switch {
	case l >= zapcore.ErrorLevel:
		return slog.LevelError
	case l == zapcore.WarnLevel:
		return slog.LevelWarn
	}
	return slog.LevelDebug
}

func (b *bridge) Enabled(l zapcore.Level) bool {
	return l > zapcore.DebugLevel && b.log.Enabled(context.Background(), levelOf(l))
}

func (b *bridge) With(fields []zapcore.Field) zapcore.Core {
	return &bridge{b.log.With(attrs(fields)...)}
}

func (b *bridge) Check(e zapcore.Entry, c *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if b.Enabled(e.Level) && b.log.Enabled(context.Background(), level(e)) {
		return c.AddCore(e, b)
	}
	return c
}

func (b *bridge) Write(e zapcore.Entry, fields []zapcore.Field) error {
	b.log.Log(context.Background(), level(e), "etcd", append(attrs(fields), "event", e.Message)...)
	return nil
}

func (b *bridge) Sync() error { return nil }

func attrs(fields []zapcore.Field) []any {
	enc := zapcore.NewMapObjectEncoder()
	for _, f := range fields {
		f.AddTo(enc)
	}
	as := make([]any, 0, 2*len(enc.Fields))
	for _, f := range fields {
		if v, ok := enc.Fields[f.Key]; ok {
			as = append(as, f.Key, v)
		}
	}
	return as
}
