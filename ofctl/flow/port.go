package flow

// Port is an OpenFlow port number of 32 bits (OpenFlow 1.1+). Open vSwitch numbers its ports from 1 to 0xfeff; the
// reserved ports are the constants below.
type Port uint32

// Reserved ports (OpenFlow 1.5, section 7.2.1.3; OFPP_*).
const (
	PortInPort     Port = 0xfffffff8 // back to where the packet came from
	PortTable      Port = 0xfffffff9 // packet-out only: through the tables
	PortNormal     Port = 0xfffffffa // the switch's own L2 learning
	PortFlood      Port = 0xfffffffb
	PortAll        Port = 0xfffffffc
	PortController Port = 0xfffffffd
	PortLocal      Port = 0xfffffffe // the bridge's own interface
	PortAny        Port = 0xffffffff // wildcard in requests; in packets: none
	portUnset      Port = 0xfffffff7 // actset_output: no output yet

	portMax16   = 0xff00              // first that is no ordinary port, in 16 bits
	portReserve = 0xffff0000 | 0xfff7 // first reserved port
)

// PortUnset is what ActsetOutput holds before an output action.
const PortUnset = portUnset

var reservedPorts = [...]string{"UNSET", "IN_PORT", "TABLE", "NORMAL", "FLOOD", "ALL", "CONTROLLER", "LOCAL", "ANY"}

// reservedName gives the name of a reserved port.
func (p Port) reservedName() (string, bool) {
	if p >= portReserve {
		return reservedPorts[p-portReserve], true
	}
	return "", false
}

// valid tells whether Open vSwitch accepts the number anywhere.
func (p Port) valid() bool { return p < portMax16 || p >= 0xffff0000|portMax16 }

// to16 gives the number as OpenFlow 1.0 and the Nicira actions write it.
func (p Port) to16() uint16 { return uint16(p) }

func portFrom16(p uint16) Port {
	if p >= portMax16 {
		return 0xffff0000 | Port(p)
	}
	return Port(p)
}

// String gives the number, or the name of a reserved port.
func (p Port) String() string { return string(appendPort(nil, p, Names{})) }
