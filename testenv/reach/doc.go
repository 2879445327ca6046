// Package reach says, by the oracle (model/oracle), who reaches whom: whether a TCP connection, a datagram or an echo request of one computer
// comes to another and the answer back, as the computers' own stacks would go about it, asking by ARP and neighbour discovery for the next hop
// first. It is what scenarios compare with what real guests measure. It sends nothing and is imported by tests.
package reach
