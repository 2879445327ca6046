package flow

import (
	"fmt"
	"slices"
	"strings"
)

var groupTypeNames = [...]string{All: "all", Select: "select", Indirect: "indirect", FF: "ff"}

// String gives the name that ovs-ofctl uses.
func (t GroupType) String() string {
	if int(t) < len(groupTypeNames) {
		return groupTypeNames[t]
	}
	return "unknown"
}

// Equal reports whether two groups are the same, with the buckets in the same order.
func (g Group) Equal(h Group) bool {
	return g.ID == h.ID && g.Type == h.Type && g.Selection == h.Selection && g.Param == h.Param &&
		slices.Equal(g.Buckets, h.Buckets) && slices.Equal(g.Fields, h.Fields)
}

// String gives the line of "ovs-ofctl -O OpenFlow15 dump-groups".
func (g Group) String() string { return FormatGroup(g, Names{}) }

// FormatGroup gives the line of "ovs-ofctl -O OpenFlow15 dump-groups", with --names if names has any, without the leading
// space.
func FormatGroup(g Group, names Names) string {
	b := appendUint([]byte("group_id="), uint64(g.ID))
	b = append(append(b, ",type="...), g.Type.String()...)
	if g.Selection != "" {
		b = append(append(b, ",selection_method="...), g.Selection...)
		if g.Param != 0 {
			b = appendUint(append(b, ",selection_method_param="...), g.Param)
		}
		for i, f := range g.Fields {
			switch {
			case i > 0:
				b = append(b, ',')
			case len(g.Fields) == 1:
				b = append(b, ",fields="...)
			default:
				b = append(b, ",fields("...)
			}
			b = append(b, f.String()...)
		}
		if len(g.Fields) > 1 {
			b = append(b, ')')
		}
	}
	for _, k := range g.Buckets {
		b = appendUint(append(b, ",bucket=bucket_id:"...), uint64(k.ID))
		if g.Type == Select && k.Weight != 1 || g.Type != Select && k.Weight != 0 {
			b = appendUint(append(b, ",weight:"...), uint64(k.Weight))
		}
		if k.WatchPort != 0 {
			b = appendPort(append(b, ",watch_port:"...), k.WatchPort, names)
		}
		if k.WatchGroup != 0 {
			b = appendUint(append(b, ",watch_group:"...), uint64(k.WatchGroup))
		}
		b = appendActions(append(b, ",actions="...), k.Actions, names)
	}
	return string(b)
}

// ParseGroup reads a group as "ovs-ofctl -O OpenFlow15 dump-groups" prints it.
func ParseGroup(text string, names Names) (Group, error) {
	p := parser{names: names}
	g, err := p.group(text)
	if err != nil {
		return Group{}, fmt.Errorf("parse group %q: %w", text, err)
	}
	return g, nil
}

func (p *parser) group(text string) (Group, error) {
	var g Group
	parts := strings.Split(text, "bucket=")
	err := eachArg(parts[0], func(kv pair) (err error) {
		switch kv.key {
		case "group_id":
			g.ID, err = parse32(kv.value)
		case "type":
			i := slices.Index(groupTypeNames[:], kv.value)
			if i < 0 {
				return fmt.Errorf("unknown type %q", kv.value)
			}
			g.Type = GroupType(i)
		case "selection_method":
			g.Selection = kv.value
		case "selection_method_param":
			g.Param, err = parseUint(kv.value, 64)
		case "fields":
			err = eachArg(kv.value, func(kv pair) error {
				f, ok := FieldByName(kv.key)
				if !ok {
					return fmt.Errorf("unknown field")
				}
				g.Fields = append(g.Fields, f)
				return nil
			})
		default:
			err = errUnknownArg
		}
		return err
	})
	if err != nil {
		return g, err
	}
	for _, text := range parts[1:] {
		head, actions, ok := strings.Cut(text, "actions=")
		if !ok {
			return g, fmt.Errorf("bucket %q without actions", text)
		}
		k := Bucket{}
		if g.Type == Select {
			k.Weight = 1
		}
		if err := p.bucket(&k, head, actions); err != nil {
			return g, err
		}
		g.Buckets = append(g.Buckets, k)
	}
	return g, nil
}

func (p *parser) bucket(k *Bucket, head, actions string) error {
	err := eachArg(head, func(kv pair) (err error) {
		switch kv.key {
		case "bucket_id":
			k.ID, err = parse32(kv.value)
		case "weight":
			k.Weight, err = parse16(kv.value)
		case "watch_port":
			k.WatchPort, err = p.port(kv.value)
		case "watch_group":
			k.WatchGroup, err = parse32(kv.value)
		default:
			err = errUnknownArg
		}
		return err
	})
	if err != nil {
		return err
	}
	l, err := p.actions(actions)
	if err == nil {
		k.Actions, err = NewActions(l...)
	}
	return err
}
