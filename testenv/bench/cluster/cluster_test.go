package cluster

import "testing"

func TestUsage(t *testing.T) {
	got := Usage{10, 6, 4, 8}.Minus(Usage{2, 2, 2, 2}).Plus(Usage{4, 0, 0, 2}).By(2)
	if got != (Usage{6, 2, 1, 4}) {
		t.Errorf("usage %+v", got)
	}
}
