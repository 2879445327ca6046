package model

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

// A rule costs a host a flow for each prefix: three prefixes are three, and what would be thousands is refused.
func TestRulePrefixes(t *testing.T) {
	var scattered []string
	for n := range 200 {
		scattered = append(scattered, fmt.Sprintf("2001:db8:%x::%x/128", n*97, n+1))
	}
	for name, tc := range map[string]struct {
		rule    SecurityGroupRule
		want    int
		refused bool
	}{
		"anybody":           {SecurityGroupRule{}, 0, false},
		"three prefixes":    {SecurityGroupRule{RemoteAddresses: "2001:db8:1::/48,2001:db8:3::/48,2001:db8:5::/64"}, 3, false},
		"aggregated":        {SecurityGroupRule{RemoteAddresses: "10.0.0.0/25,10.0.0.128/25,10.0.0.7/32"}, 1, false},
		"all but one":       {SecurityGroupRule{ExcludedAddresses: "10.0.0.1/32"}, 33, false},
		"some but one":      {SecurityGroupRule{RemoteAddresses: "10.0.0.0/24", ExcludedAddresses: "10.0.0.1/32"}, 8, false},
		"nothing left":      {SecurityGroupRule{RemoteAddresses: "10.0.0.0/24", ExcludedAddresses: "10.0.0.0/8"}, 0, true},
		"too many are left": {SecurityGroupRule{ExcludedAddresses: PrefixList(strings.Join(scattered, ","))}, maxRulePrefixes + 1, true},
	} {
		t.Run(name, func(t *testing.T) {
			tc.rule.Protocol, tc.rule.ICMPType, tc.rule.ICMPCode = "any", -1, -1
			if got := len(tc.rule.RemotePrefixes()); got < tc.want || got > tc.want && !tc.refused {
				t.Errorf("%d prefixes, not %d", got, tc.want)
			}
			var refused *Error
			if err := tc.rule.validate(); errors.As(err, &refused) != tc.refused {
				t.Errorf("validation says %v", err)
			}
		})
	}
}
