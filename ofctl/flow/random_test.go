package flow_test

import (
	"math/rand/v2"
	"testing"

	"pgregory.net/rapid"

	"github.com/openvnet/openvnet/ofctl/flow"
	"github.com/openvnet/openvnet/ofctl/flow/flowtest"
)

// source draws from rapid, so that a failure is shrunk.
type source struct{ *rapid.T }

func (s source) IntN(n int) int { return rapid.IntRange(0, n-1).Draw(s.T, "n") }
func (s source) Uint64() uint64 { return rapid.Uint64().Draw(s.T, "v") }

// Random flows survive encoding and decoding, formatting and parsing.
func TestRandomFlows(t *testing.T) {
	names := flowtest.Names()
	rapid.Check(t, func(t *rapid.T) {
		g := flowtest.Gen{Source: source{t}}
		f := g.Flow()
		m, err := flow.DecodeMatch([]byte(f.Match.Encoded()))
		if err != nil || m != f.Match {
			t.Fatalf("match %v, decoded %v, %v", f.Match, m, err)
		}
		a, err := flow.DecodeActions([]byte(f.Actions.Encoded()))
		if err != nil || a != f.Actions {
			t.Fatalf("actions %v, decoded %v, %v", f.Actions, a, err)
		}
		if again, err := flow.NewActions(a.List()...); err != nil || again != a {
			t.Fatalf("actions %v, from list %v, %v", a, again, err)
		}
		var preds []flow.Pred
		for p := range m.Preds() {
			preds = append(preds, p)
		}
		if again, err := flow.NewMatch(preds...); err != nil || again != m {
			t.Fatalf("match %v, from predicates %v, %v", m, again, err)
		}
		for _, n := range []flow.Names{{}, names} {
			text := flow.Format(f, n)
			if got, err := flow.Parse(text, n); err != nil || got != f {
				t.Fatalf("%s\nparsed %v, %v", text, got, err)
			}
		}
	})
}

// The order in which predicates are given does not matter.
func TestRandomOrder(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	g := flowtest.Gen{Source: r}
	for range 1000 {
		m := g.Match()
		var preds []flow.Pred
		for p := range m.Preds() {
			preds = append(preds, p)
		}
		r.Shuffle(len(preds), func(i, j int) { preds[i], preds[j] = preds[j], preds[i] })
		if got, err := flow.NewMatch(preds...); err != nil || got != m {
			t.Fatalf("%v, %v", got, err)
		}
	}
}

func seedFlows(n int) []flow.Flow {
	g := flowtest.Gen{Source: rand.New(rand.NewPCG(7, 7))}
	var flows []flow.Flow
	for range n {
		flows = append(flows, g.Flow())
	}
	return flows
}

func FuzzDecodeMatch(f *testing.F) {
	for _, s := range seedFlows(50) {
		f.Add([]byte(s.Match.Encoded()))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := flow.DecodeMatch(b)
		if err != nil {
			if m != (flow.Match{}) {
				t.Fatal("value and error")
			}
			return
		}
		again, err := flow.DecodeMatch([]byte(m.Encoded()))
		if err != nil || again != m {
			t.Fatalf("%v: %v, %v", m, again, err)
		}
		// Masks that ovs-ofctl cannot write are the only ones that the text form loses.
		if _, err := flow.DecodeMetadata(b); err != nil {
			t.Fatal(err)
		}
		_ = m.String()
	})
}

func FuzzDecodeActions(f *testing.F) {
	for _, s := range seedFlows(200) {
		f.Add([]byte(s.Actions.Encoded()))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		a, err := flow.DecodeActions(b)
		if err != nil {
			if a != (flow.Actions{}) {
				t.Fatal("value and error")
			}
			return
		}
		if a.Encoded() != string(b) {
			t.Fatal("the bytes have changed")
		}
		// What this package would write reads as the same.
		if c, err := flow.NewActions(a.List()...); err == nil {
			if d, err := flow.NewActions(c.List()...); err != nil || d != c {
				t.Fatalf("%v: %v, %v", c, d, err)
			}
		}
		_ = a.String()
	})
}

func FuzzParse(f *testing.F) {
	names := flowtest.Names()
	for _, s := range seedFlows(200) {
		f.Add(flow.Format(s, names))
	}
	f.Add("actions=ct(commit nat(dst hash))")
	f.Add("actions=ct(commit,nat(src=10.0.0.1-10.0.0.1:80-80,hash))")
	f.Fuzz(func(t *testing.T, text string) {
		s, err := flow.Parse(text, names)
		if err != nil {
			if s != (flow.Flow{}) {
				t.Fatal("value and error")
			}
			return
		}
		again, err := flow.Parse(flow.Format(s, names), names)
		if err != nil || again != s {
			t.Fatalf("%s: %v, %v", flow.Format(s, names), again, err)
		}
	})
}
