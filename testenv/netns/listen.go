package netns

import (
	"errors"
	"fmt"
	"net"

	"github.com/mdlayher/packet"
)

// Listen opens a packet socket on a link of a namespace, for frames of one Ethernet type, or of all with unix.ETH_P_ALL. The caller closes it.
func Listen(name, link string, etherType int) (*packet.Conn, error) {
	n, err := Open(name)
	if err != nil {
		return nil, err
	}
	var conn *packet.Conn
	err = n.Do(func() error {
		nic, err := net.InterfaceByName(link)
		if err != nil {
			return err
		}
		conn, err = packet.Listen(nic, packet.Raw, etherType, nil)
		return err
	})
	if err = errors.Join(err, n.Close()); err != nil {
		return nil, fmt.Errorf("listen on %s in network namespace %s: %w", link, name, err)
	}
	return conn, nil
}
