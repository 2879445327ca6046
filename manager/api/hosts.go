package api

import (
	"time"

	"github.com/openvnet/openvnet/manager/sync"
	"github.com/openvnet/openvnet/model"
)

// hosts answers with what the manager knows of each host and its agent.
func (h *handler) hosts(c *call) (*response, error) {
	if err := refuseUnknown(c.q, nil); err != nil {
		return nil, err
	}
	if err := c.forProvider(); err != nil {
		return nil, err
	}
	var list []sync.Host
	if h.Hosts != nil {
		list = h.Hosts()
	}
	items := make([]any, len(list))
	for i := range list {
		items[i] = hostRecord(&list[i])
	}
	return &response{body: record{{"total_count", len(items)}, {"offset", 0}, {"limit", len(items)}, {"items", items}}}, nil
}

func hostRecord(h *sync.Host) record {
	problems := make([]any, len(h.Problems))
	for i, p := range h.Problems {
		problems[i] = record{{"uuid", p.UUID}, {"reason", p.Reason}}
	}
	var since any
	if h.Since != nil {
		since = h.Since.UTC().Format(time.RFC3339Nano)
	}
	return record{
		{"datapath_uuid", h.DatapathUUID}, {"node_id", h.NodeID}, {"dpid", h.DPID.String()}, {"connected", h.Connected}, {"since", since},
		{"reason", orNull(h.Reason)}, {"address", orNull(h.Address)}, {"software", orNull(h.Software)}, {"objects", h.Objects},
		{"revision", h.Revision}, {"acknowledged", h.Acknowledged}, {"lag_ms", h.Lag.Milliseconds()}, {"queued", h.Queued}, {"pending", h.Pending},
		{"problems", problems},
	}
}

func hostSchema() record {
	typed := func(typ, doc string) record { return record{{"type", typ}, {"description", doc}} }
	orNone := func(doc string) record { return record{{"type", []string{"string", "null"}}, {"description", doc}} }
	props := record{
		{"datapath_uuid", uuidSchema(model.Datapaths)}, {"node_id", typed("string", "Its agent's name.")}, {"dpid", typed("string", "Of its bridge.")},
		{"connected", typed("boolean", "Whether its agent is connected to this manager.")},
		{"since", orNone("When it connected, or was lost; null if it was never connected to this manager.")},
		{"reason", orNone("Why it was lost.")}, {"address", orNone("Where its agent connects from.")}, {"software", orNone("Its agent's version.")},
		{"objects", typed("integer", "How many objects concern it.")}, {"revision", typed("integer", "The last that changed one of them.")},
		{"acknowledged", typed("integer", "The revision that it has realised.")},
		{"lag_ms", typed("integer", "How long the oldest change that it has not realised has been waiting.")},
		{"queued", typed("integer", "Objects still to be sent.")}, {"pending", typed("integer", "Objects whose last change it has not realised.")},
		{"problems", arrayOf(object(record{{"uuid", typed("string", "The object.")}, {"reason", typed("string", "Why it could not be realised.")}}, []string{"uuid", "reason"}, ""))},
	}
	var required []string
	for _, p := range props {
		required = append(required, p.name)
	}
	return object(props, required, "What the manager knows of a host and its agent.")
}
