// Package labs holds lab descriptions that come with the project: the one of the README and the demonstration, and whatever
// tests share. Imported by testenv/demo and tests; people use the files.
package labs

import _ "embed"

// ThreeHosts is three hosts on two underlays joined by a router, and eight guests.
//
//go:embed three-hosts.yaml
var ThreeHosts []byte

// Edge is four hosts, one of them with a second NIC into a network of others, seven guests, and five machines outside.
//
//go:embed edge.yaml
var Edge []byte
