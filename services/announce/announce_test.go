package announce_test

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"pgregory.net/rapid"

	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/services/announce"
)

const (
	tick   = 250 * time.Millisecond
	forget = 300 * time.Second // when switches do
)

var start = time.Unix(1_000_000, 0)

func mac(n int) model.MAC { return model.MAC{2, 0, 0, 0, byte(n >> 8), byte(n)} }

func macs(n int) []model.MAC {
	var ms []model.MAC
	for k := range n {
		ms = append(ms, mac(k))
	}
	return ms
}

// numbers gives numbers that are spread well, the same ones each time.
func numbers() func() uint64 {
	n := uint64(0)
	return func() uint64 { n += 0x9e3779b97f4a7c15; return n ^ n>>29 }
}

// An address is announced at once, soon again, and from then on well before switches forget it; never more after it has gone.
func TestPauses(t *testing.T) {
	a := announce.New(numbers(), announce.Options{})
	a.Set(start, macs(1))
	var at []time.Duration
	for now := start; now.Before(start.Add(time.Hour)); now = now.Add(tick) {
		if ms := a.Tick(now); len(ms) > 0 {
			at = append(at, now.Sub(start))
		}
	}
	if at[0] != 0 || at[1] > 3*time.Second || at[2] > 45*time.Second {
		t.Errorf("announced after %v", at[:3])
	}
	pauses := map[time.Duration]bool{}
	for n := 3; n < len(at); n++ {
		pause := at[n] - at[n-1]
		pauses[pause] = true
		if pause < time.Minute || pause > 2*time.Minute+tick {
			t.Errorf("a pause of %s", pause)
		}
	}
	if len(pauses) < 5 {
		t.Errorf("the pauses are alike: %v", pauses)
	}
	now := start.Add(time.Hour)
	a.Again(now)
	if got := a.Tick(now); len(got) != 1 {
		t.Errorf("%v after it was to be announced again", got)
	}
	a.Set(now, nil)
	for n := range 1000 {
		if got := a.Tick(now.Add(time.Duration(n) * time.Second)); len(got) > 0 {
			t.Fatalf("%v is announced, which is gone", got)
		}
	}
}

// With as many as there may be no address is silent until switches forget it, and no Tick gives more than it may.
func TestAllAreHeard(t *testing.T) {
	for _, n := range []int{1, 300, 4096, 5000} {
		a := announce.New(numbers(), announce.Options{})
		a.Set(start, macs(n))
		const minutes = 12
		heard := map[model.MAC]time.Time{}
		frames, now := 0, start
		for ; now.Before(start.Add(minutes * time.Minute)); now = now.Add(tick) {
			ms := a.Tick(now)
			frames += len(ms)
			if len(ms) > 16 {
				t.Fatalf("%d frames at once", len(ms))
			}
			for _, m := range ms {
				if last, ok := heard[m]; ok && now.Sub(last) > forget {
					t.Fatalf("%d addresses: %s is silent for %s", n, m, now.Sub(last))
				}
				heard[m] = now
			}
		}
		if want := min(n, 4096); len(heard) != want || a.Refused() != n-want {
			t.Errorf("%d addresses: %d are heard, %d refused", n, len(heard), a.Refused())
		}
		for m, last := range heard {
			if now.Sub(last) > forget {
				t.Errorf("%d addresses: %s is silent in the end", n, m)
			}
		}
		if most := len(heard) * (minutes + 3); frames > most {
			t.Errorf("%d addresses: %d frames in %d minutes, at most %d would do", n, frames, minutes, most)
		}
	}
}

// Hundreds that are new at once are spread in the end: no second has many more than its part.
func TestSpread(t *testing.T) {
	a := announce.New(numbers(), announce.Options{})
	a.Set(start, macs(500))
	seconds := map[int]int{}
	for now := start; now.Before(start.Add(30 * time.Minute)); now = now.Add(tick) {
		for range a.Tick(now) {
			seconds[int(now.Sub(start)/time.Second)]++
		}
	}
	for s, n := range seconds {
		if s > 900 && n > 20 { // 5.6 on average
			t.Errorf("%d frames in second %d", n, s)
		}
	}
}

// Whatever comes and goes, what is announced is what there is, the first of it if that is too much.
func TestSet(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := announce.New(numbers(), announce.Options{Burst: 3, Addresses: 5})
		now := start
		for range rapid.IntRange(1, 20).Draw(t, "steps") {
			set := rapid.SliceOfNDistinct(rapid.IntRange(0, 9), 0, 8, rapid.ID[int]).Draw(t, "set")
			var ms []model.MAC
			for _, n := range set {
				ms = append(ms, mac(n))
			}
			a.Set(now, ms)
			want := ms[:min(len(ms), 5)]
			var got []model.MAC
			for range 3 {
				now = now.Add(2 * time.Minute)
				for k := range 2 {
					for _, m := range a.Tick(now.Add(time.Duration(k))) {
						if !slices.Contains(got, m) {
							got = append(got, m)
						}
					}
				}
			}
			bySize := func(m, n model.MAC) int { return int(m.Uint64()) - int(n.Uint64()) }
			slices.SortFunc(got, bySize)
			want = slices.SortedFunc(slices.Values(want), bySize)
			if diff := cmp.Diff(want, got); diff != "" || a.Refused() != len(ms)-len(want) {
				t.Fatalf("%d refused; (-want +got):\n%s", a.Refused(), diff)
			}
		}
	})
}

// The frame is one of RARP that no host answers, of Ethernet's smallest size.
func TestFrame(t *testing.T) {
	b := announce.Frame(mac(7))
	p := gopacket.NewPacket(b, layers.LayerTypeEthernet, gopacket.Default)
	eth := p.LinkLayer().(*layers.Ethernet)
	if len(b) != 60 || model.MAC(eth.SrcMAC) != mac(7) || model.MAC(eth.DstMAC) != model.AnnouncementGroup() || eth.EthernetType != 0x8035 {
		t.Errorf("%d bytes: %v", len(b), eth)
	}
	arp := gopacket.NewPacket(eth.Payload, layers.LayerTypeARP, gopacket.Default).Layer(layers.LayerTypeARP).(*layers.ARP) // RARP has its form
	if arp.Operation != 3 || model.MAC(arp.SourceHwAddress) != mac(7) || model.MAC(arp.DstHwAddress) != mac(7) {
		t.Errorf("%+v", arp)
	}
	if model.AnnouncementGroup()[0]&3 != 3 {
		t.Error("the group's address is not a locally administered one of a group")
	}
}
