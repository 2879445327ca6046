package flow

import (
	"fmt"
	"slices"
	"strings"
)

// Equal reports whether two meters are the same.
func (m Meter) Equal(n Meter) bool {
	return m.ID == n.ID && m.Unit == n.Unit && m.Burst == n.Burst && m.Stats == n.Stats && slices.Equal(m.Bands, n.Bands)
}

// String gives the lines of "ovs-ofctl -O OpenFlow15 dump-meters" for the meter, without the last line end.
func (m Meter) String() string {
	b := append(appendUint([]byte("meter="), uint64(m.ID)), ' ')
	if m.Unit == Kbps {
		b = append(b, "kbps "...)
	} else {
		b = append(b, "pktps "...)
	}
	if m.Burst {
		b = append(b, "burst "...)
	}
	if m.Stats {
		b = append(b, "stats "...)
	}
	b = append(b, "bands="...)
	for _, d := range m.Bands {
		b = appendUint(append(b, "\ntype=drop rate="...), uint64(d.Rate))
		if m.Burst {
			b = appendUint(append(b, " burst_size="...), uint64(d.Burst))
		}
	}
	return string(b)
}

// ParseMeter reads a meter as "ovs-ofctl -O OpenFlow15 dump-meters" prints it.
func ParseMeter(text string) (Meter, error) {
	var m Meter
	head, bands, ok := strings.Cut(text, "bands=")
	if !ok {
		return m, fmt.Errorf("parse meter %q: no bands", text)
	}
	err := eachArg(head, func(kv pair) (err error) {
		switch kv.key {
		case "meter":
			m.ID, err = parse32(kv.value)
		case "kbps":
			m.Unit = Kbps
		case "pktps":
			m.Unit = Pktps
		case "burst":
			m.Burst = true
		case "stats":
			m.Stats = true
		default:
			err = errUnknownArg
		}
		return err
	})
	if err == nil {
		err = eachArg(bands, func(kv pair) error { return m.parseBand(kv) })
	}
	if err != nil {
		return Meter{}, fmt.Errorf("parse meter %q: %w", text, err)
	}
	return m, nil
}

func (m *Meter) parseBand(kv pair) (err error) {
	if kv.key == "type" {
		if kv.value != "drop" {
			return fmt.Errorf("unknown type %q", kv.value)
		}
		m.Bands = append(m.Bands, Band{})
		return nil
	}
	if len(m.Bands) == 0 {
		return fmt.Errorf("before the first type")
	}
	d := &m.Bands[len(m.Bands)-1]
	switch kv.key {
	case "rate":
		d.Rate, err = parse32(kv.value)
	case "burst_size":
		d.Burst, err = parse32(kv.value)
	default:
		err = errUnknownArg
	}
	return err
}
