// Package verify holds what the data plane does against what it must do. It draws random networks and packets aimed at their edges, and gives each packet to
// three executors: the oracle (model/oracle), the compiled flows in in-memory switches (ofctl/oftest), and the same flows in Open vSwitch (testenv/rig). All must
// agree on what comes out where, byte for byte, and on why the rest does not. What differs is shrunk to a small network and a few packets, and printed.
//
// It also walks from state to state: what incremental compilation gives must be what a full one gives, and the switches must hold exactly that, with a tenth of the
// writes failing on the way. Imported by cmd/vnlab and by tests.
package verify
