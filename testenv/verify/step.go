package verify

// Local is the name of the host's own port of a bridge.
const Local = "LOCAL"

// Entry is where a frame enters: a port of a host, NIC or Local among them.
type Entry struct{ Datapath, Port string }

// Step is one frame that enters the world.
type Step struct {
	Entry
	Frame []byte
	Note  string // what it is meant to be
}

// Delivery is a frame that has left the world at a port.
type Delivery struct {
	Datapath, Port string
	Frame          []byte
}
