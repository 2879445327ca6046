package model

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// Text is text for people of several lines.
type Text string

func (*Text) limits() (maxBytes int, lines bool) { return 16384, true }

// SecurityRules are a security group's rules as they were written.
type SecurityRules string

// SecurityRule is one rule: what the members of a group accept.
type SecurityRule struct {
	Protocol string       // tcp, udp or icmp
	Port     uint16       // of tcp and udp, 0 for all
	Source   netip.Prefix // from where, unless it is a group
	Group    string       // uuid of the group from whose members, "" with a Source
}

const maxSecurityRules = 256

// Parse gives the rules in their order. The error, which names the rule, is that of a text that no field holds.
func (r SecurityRules) Parse() ([]SecurityRule, error) {
	var rules []SecurityRule
	for line := range strings.SplitSeq(string(r), "\n") {
		line, _, _ = strings.Cut(line, "#")
		for item := range strings.SplitSeq(line, ",") {
			if item = strings.TrimSpace(item); item == "" {
				continue
			}
			rule, err := parseSecurityRule(item)
			if err != nil {
				return nil, err
			}
			if rules = append(rules, rule); len(rules) > maxSecurityRules {
				return nil, fmt.Errorf("has more than %d rules", maxSecurityRules)
			}
		}
	}
	return rules, nil
}

func parseSecurityRule(item string) (SecurityRule, error) {
	proto, rest, _ := strings.Cut(item, ":")
	portText, source, ok := strings.Cut(rest, ":")
	if !ok {
		return SecurityRule{}, fmt.Errorf("%q is not a rule of the form protocol:port:source", clip(item))
	}
	rule := SecurityRule{Protocol: strings.ToLower(strings.TrimSpace(proto))}
	portText, source = strings.TrimSpace(portText), strings.TrimSpace(source)
	switch rule.Protocol {
	case "icmp":
		if portText != "-1" && portText != "" {
			return SecurityRule{}, fmt.Errorf("rule %q: the port of icmp is -1", clip(item))
		}
	case "tcp", "udp":
		n, err := strconv.ParseUint(portText, 10, 16)
		if err != nil {
			return SecurityRule{}, fmt.Errorf("rule %q: %q is not a port: 1 to 65535, or 0 for all", clip(item), clip(portText))
		}
		rule.Port = uint16(n)
	default:
		return SecurityRule{}, fmt.Errorf("rule %q: %q is not one of tcp, udp, icmp", clip(item), clip(rule.Protocol))
	}
	if strings.HasPrefix(source, "sg-") {
		if err := CheckUUID("security_groups", source); err != nil {
			return SecurityRule{}, fmt.Errorf("rule %q: %w", clip(item), err)
		}
		rule.Group = source
		return rule, nil
	}
	p, err := parsePrefix(source)
	if err == nil && !p.IsValid() {
		err = fmt.Errorf("has no source")
	}
	if err != nil {
		return SecurityRule{}, fmt.Errorf("rule %q: %w", clip(item), err)
	}
	rule.Source = p
	return rule, nil
}

func (r *SecurityRules) parse(text string) error {
	*r = SecurityRules(text)
	_, err := r.Parse()
	return err
}

func (*SecurityRules) limits() (maxBytes int, lines bool) { return 16384, true }

func (r SecurityRules) uuids() []string { return r.Groups() }

// Groups gives the groups that the rules name, each once.
func (r SecurityRules) Groups() []string {
	var groups []string
	rules, _ := r.Parse()
	for _, rule := range rules {
		if rule.Group != "" && !slices.Contains(groups, rule.Group) {
			groups = append(groups, rule.Group)
		}
	}
	return groups
}
