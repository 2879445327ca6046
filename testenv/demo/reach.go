package demo

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"
)

// reach measures who reaches whom, one ping for each pair and family. A guest of the other tenant has the same address as one of the
// own, so that an answer alone proves nothing: whether the ping arrived is read at the target's kernel.
func (d *demo) reach(ctx context.Context) error {
	for _, f := range []struct {
		title   string
		address func(int) string
		counter string
	}{
		{"Who reaches whom: IPv4, one ping for each pair, counted where it arrives (round trip in ms)", address, "IcmpMsg InType8"},
		{"The same with IPv6", address6, "Icmp6InEchos"},
	} {
		d.out.title(f.title)
		if err := d.matrix(ctx, f.address, f.counter); err != nil {
			return err
		}
	}
	return nil
}

func (d *demo) matrix(ctx context.Context, address func(int) string, counter string) error {
	head := "            "
	for _, to := range seats() {
		head += fmt.Sprintf("%12s", to.tenant.name+"/"+to.guest)
	}
	d.out.plain(head)
	var wrong []error
	for _, f := range seats() {
		from, ft, fn := f.guest, f.tenant, f.n
		line := fmt.Sprintf("%12s", ft.name+"/"+from)
		for _, t := range seats() {
			to, tt, tn := t.guest, t.tenant, t.n
			if from == to {
				line += fmt.Sprintf("%12s", "-")
				continue
			}
			if ft.name != tt.name && fn == tn {
				// The other tenant's guest with our own address: a ping would not leave the guest.
				line += d.out.colour(green, fmt.Sprintf("%12s", "itself"))
				continue
			}
			before, err := d.count(to, counter)
			if err != nil {
				return err
			}
			rtt, pingErr := d.ping(ctx, from, address(tn))
			after, err := d.count(to, counter)
			if err != nil {
				return err
			}
			arrived, must := after > before, ft.name == tt.name
			cell := "apart"
			if arrived {
				cell = fmt.Sprintf("%.2f", rtt)
			}
			ok := arrived == must && (!must || pingErr == nil)
			if !ok {
				wrong = append(wrong, fmt.Errorf("%s to %s: arrived %t, must %t, ping: %w", from, to, arrived, must, pingErr))
				cell += "!"
			}
			colour := green
			if !ok || !must {
				colour = red
			}
			line += d.out.colour(colour, fmt.Sprintf("%12s", cell))
		}
		d.out.plain(line)
	}
	return errors.Join(wrong...)
}

var pingTime = regexp.MustCompile(`time=([0-9.]+) ms`)

// ping sends one echo request and gives the round trip in ms.
func (d *demo) ping(ctx context.Context, from, to string) (float64, error) {
	out, err := d.lab.Exec(ctx, from, "ping", "-n", "-c", "1", "-W", "1", to)
	if err != nil {
		return 0, err
	}
	m := pingTime.FindStringSubmatch(out)
	if m == nil {
		return 0, fmt.Errorf("no round trip in %q", out)
	}
	return strconv.ParseFloat(m[1], 64)
}

// count reads a counter of a guest's kernel: "IcmpMsg InType8" of /proc/net/snmp, or a name of /proc/net/snmp6. One that has
// not counted yet is not listed: 0.
func (d *demo) count(guest, counter string) (n uint64, err error) {
	group, name, v4 := strings.Cut(counter, " ")
	path := "/proc/thread-self/net/snmp6"
	if v4 {
		path = "/proc/thread-self/net/snmp"
	}
	err = d.lab.Do(guest, func() error {
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		defer f.Close()
		var names []string
		for s := bufio.NewScanner(f); s.Scan(); {
			w := strings.Fields(s.Text())
			switch {
			case !v4 && len(w) == 2 && w[0] == counter:
				n, err = strconv.ParseUint(w[1], 10, 64)
				return err
			case v4 && w[0] == group+":" && names == nil:
				names = w
			case v4 && w[0] == group+":":
				for i, x := range names {
					if x == name {
						n, err = strconv.ParseUint(w[i], 10, 64)
						return err
					}
				}
			}
		}
		return nil
	})
	return n, err
}
