package flows

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/openvnet/openvnet/client"
	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/testenv/bench/cluster"
)

const (
	memberHosts = 3
	memberPorts = 1000
	// spares are the interfaces that join and leave the group.
	spares = 12
)

// member brings up three hosts with 1,000 ports in one network, all in one group with 10 rules that allow its members, and measures one more member from the call until all hosts have it.
func member(ctx context.Context, o Options) (times []time.Duration, err error) {
	c, err := cluster.New(o.Bin, o.API, memberHosts)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil && ctx.Err() == nil {
			err = fmt.Errorf("%w\n%s", err, c.Logs())
		}
		err = errors.Join(err, c.Remove(ctx))
	}()
	ports := func(host int) []string {
		var names []string
		for n := range memberPorts + spares {
			if n%memberHosts == host {
				names = append(names, fmt.Sprintf("p%d", n))
			}
		}
		return names
	}
	if err := c.Start(ctx, ports); err != nil {
		return nil, err
	}
	if err := c.Apply(ctx, memberDocuments(c.Datapaths())); err != nil {
		return nil, err
	}
	for n := 0; len(times) < o.Members; n++ {
		i := fmt.Sprintf("if-m%d", memberPorts+n%spares)
		select { // switches with many ports go on working after they have answered
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(30 * time.Millisecond):
		}
		began := time.Now()
		m, err := client.Create[model.SecurityGroupInterface](ctx, c.Waiting(), client.Params{"security_group_uuid": "sg-all", "interface_uuid": i})
		took := time.Since(began)
		if err != nil {
			return nil, err
		}
		if !m.Applied {
			return nil, fmt.Errorf("%s has not come to all hosts", m.Object.UUID)
		}
		times = append(times, took)
		if _, err := c.Waiting().Delete(ctx, m.Object.UUID); err != nil {
			return nil, err
		}
	}
	return times, nil
}

func memberDocuments(datapaths []string) client.Documents {
	docs := client.Documents{"networks": {{"uuid": "nw-all", "ipv4_network": "10.0.0.0", "ipv4_prefix": 16}}, "security_groups": {{"uuid": "sg-all", "display_name": "all", "trust_members": false}}}
	for n := range 10 {
		docs["security_group_rules"] = append(docs["security_group_rules"], client.Params{
			"uuid": fmt.Sprintf("sgr-%d", n), "security_group_uuid": "sg-all", "protocol": "tcp", "port_first": 1000 + n, "remote_group_uuid": "sg-all",
		})
	}
	for n := range memberPorts + spares {
		a := address(netip.MustParsePrefix("10.0.0.0/16"), 10+n)
		docs["interfaces"] = append(docs["interfaces"], client.Params{
			"uuid": fmt.Sprintf("if-m%d", n), "mode": model.InterfaceVIF, "port_name": fmt.Sprintf("p%d", n), "network_uuid": "nw-all",
			"mac_address": model.MAC{2, 1, 0, 0, byte(n >> 8), byte(n)}.String(), "ipv4_address": a.String(), "owner_datapath_uuid": datapaths[n%memberHosts],
		})
		if n < memberPorts {
			docs["security_group_interfaces"] = append(docs["security_group_interfaces"], client.Params{
				"uuid": fmt.Sprintf("sgi-m%d", n), "security_group_uuid": "sg-all", "interface_uuid": fmt.Sprintf("if-m%d", n),
			})
		}
	}
	return docs
}
