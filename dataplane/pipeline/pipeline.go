// Package pipeline declares the OpenFlow pipeline once, as constants: tables with what they may match, set and go to; register
// fields; flags; cookies; group, meter and zone numbers. Flows are built through a Builder, which refuses one that matches an
// undeclared field, sets an undeclared one, or goes to a table that is not declared as a next one. Table ids, register
// bits and cookie kinds are never used again for something else: a dump of one host reads like that of another,
// and of an older version.
//
// It builds no flow of its own (dataplane/compile does) and talks to no switch. Imported by dataplane/compile, dataplane/ovs,
// the agent, and others that read dumps; docs/pipeline.md is generated from it, and from what an example compiles to.
package pipeline

import (
	"github.com/openvnet/openvnet/model/reason"
	"github.com/openvnet/openvnet/ofctl/flow"
)

// Table is one flow table: what may stand in it.
type Table struct {
	ID      uint8
	Name    string
	Doc     string
	Matches []flow.Field  // besides registers
	Reads   []Register    // that may be matched
	Sets    []flow.Field  // that actions may write, besides registers
	Writes  []Register    // that actions may write
	Next    []uint8       // later tables that may follow, directly or behind the connection tracker
	Again   []uint8       // tables, earlier ones too, that a packet may be looked up in once more
	Outputs bool          // whether packets may leave here
	Tracks  bool          // whether packets may be given to the connection tracker
	Miss    reason.Reason // why a packet that nothing matches is dropped; reason.None where it goes on to MissTo
	MissTo  uint8
}

// Ids of the tables.
const (
	idClassify        = 0
	idMirror          = 2
	idTunnelPeer      = 4
	idTunnelKey       = 6
	idUnderlay        = 8
	idRestore         = 9
	idGuardMAC        = 10
	idGuardAddress    = 12
	idGuardFree       = 13
	idOutside         = 14
	idGuardTarget     = 15
	idService         = 30
	idPunt            = 32
	idND              = 34
	idOutFilter       = 36
	idOutFilterAnswer = 37
	idOutRules        = 38
	idOutRulesAnswer  = 39
	idL2              = 40
	idUnknown         = 42
	idL3In            = 50
	idTranslateIn     = 51
	idL3Source        = 52
	idL3Route         = 54
	idL3Away          = 55
	idL3Out           = 56
	idTranslateOut    = 57
	idL3Send          = 58
	idNextHop         = 59
	idFlood           = 60
	idDeliver         = 61
	idInFilter        = 62
	idInFilterAnswer  = 63
	idInRules         = 64
	idInRulesAnswer   = 65
	idTransport       = 70
	idOutput          = 90
)

// Tables gives all tables in the order of their ids.
func Tables() []*Table {
	return []*Table{
		Classify, Mirror, TunnelPeer, TunnelKey, Underlay, Restore, GuardMAC, GuardAddress, GuardFree, Outside, GuardTarget,
		Service, Punt, ND, OutFilter, OutFilterAnswer, OutRules, OutRulesAnswer,
		L2, Unknown, L3In, TranslateIn, L3Source, L3Route, L3Away, L3Out, TranslateOut, L3Send, NextHopMAC,
		Flood, Deliver, InFilter, InFilterAnswer, InRules, InRulesAnswer, Transport, Output,
	}
}

// TableByID gives the table of that id, or nil.
func TableByID(id uint8) *Table {
	for _, t := range Tables() {
		if t.ID == id {
			return t
		}
	}
	return nil
}
