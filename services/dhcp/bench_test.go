package dhcp

import "testing"

func BenchmarkRespond(b *testing.B) {
	typical := []byte{1, 3, 6, 15, 26, 28, 119, 121} // what a client of today asks for
	c := config()
	c.Routes = []Route{{prefix("10.200.0.0/16"), addr("10.100.0.2")}}
	lookup := only(binding(b, c))
	for _, bench := range []struct {
		name    string
		message message
		want    Verdict
	}{
		{"offer", message{kind: discover, wants: typical, clientID: []byte{1, 2, 0, 0, 0, 0, 1}}, Offer},
		{"ack", message{kind: req, server: serverIP, requested: clientIP, wants: typical, clientID: []byte{1, 2, 0, 0, 0, 0, 1}}, AckSelecting},
		{"nak", message{kind: req, requested: awayIP}, Nak},
		{"foreign", message{kind: discover, chaddr: unknownMAC}, ForeignHardware},
		{"truncated", message{kind: discover, options: []Option{{12, make([]byte, 255)}, {50, []byte{1}}}}, BadOption},
	} {
		f := bench.message.frame()
		b.Run(bench.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, v := Respond(f, lookup); v != bench.want {
					b.Fatal(v)
				}
			}
		})
	}
}
