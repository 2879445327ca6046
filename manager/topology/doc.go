// Package topology decides which networks, segments and route links topologies wire to which datapaths: the rows of
// datapath_networks, datapath_segments and datapath_route_links that follow from a topology's members, layers, datapaths
// and MAC range groups.
//
// An underlay wires its own networks and segments to each of its datapaths, by the host interface and lease that the datapath
// has in it. An overlay wires its networks, segments and route links to the datapaths of each underlay that it lies over;
// one with activity set wires an object only where an interface of it is. The underlay's MAC range groups give the rows
// their addresses. Where several topologies and layers ask for the same row, an underlay's own claim goes before those of
// overlays, and the older one before the younger.
//
// Rows that were made by hand (without topology_uuid) are never touched, and a pair that has one gets no other. A row follows
// its topology: what a client changes in it is put back.
//
// It is pure: it reads objects and gives a plan; manager/app carries the plan out, in the transaction that made the changes.
// Imported by manager/app.
package topology
