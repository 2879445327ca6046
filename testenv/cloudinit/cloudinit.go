// Package cloudinit asks a metadata service by the datasources of Debian's cloud-init, Ec2 and NoCloud, and gives what they make of the answers. It changes nothing of the
// machine that it runs on, nor of the guest that it asks in. Only tests import it.
package cloudinit

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"os"
	"testing"
)

//go:embed ask.py
var script string

const (
	python = "/usr/bin/python3" // that Debian's packages are for, whatever else is in $PATH
	module = "/usr/lib/python3/dist-packages/cloudinit"
)

// Data is what one datasource has made of the answers.
type Data struct {
	InstanceID    string         `json:"instance_id"`
	Hostname      string         `json:"hostname"` // one label
	FQDN          string         `json:"fqdn"`
	PublicKeys    []string       `json:"public_keys"`
	UserData      []byte         `json:"user_data"`
	VendorData    []byte         `json:"vendor_data"`
	NetworkConfig map[string]any `json:"network_config"` // of version 2
	Metadata      map[string]any `json:"metadata"`       // all of it
}

// Static is how cloud-init understands a network-config.
type Static struct {
	Addresses   []string          `json:"addresses"` // with their lengths
	Routes      []string          `json:"routes"`    // "10.2.0.0/24 via 10.1.0.1"
	Nameservers []string          `json:"nameservers"`
	Search      []string          `json:"search"`
	MTU         int               `json:"mtu"`
	Written     map[string]string `json:"written"` // what it writes for eni, netplan and networkd
}

// Answers are what a guest is told.
type Answers struct {
	EC2             Data   `json:"ec2"` // asked with a token, as on EC2 itself
	EC2WithoutToken Data   `json:"ec2_without_token"`
	NoCloud         Data   `json:"nocloud"`
	Static          Static `json:"static"` // of NoCloud's network-config
}

// Ask asks at a URL such as http://169.254.169.254. exec runs a program in the guest, whose link is nic, and gives its standard output. It fails the test where cloud-init is
// not installed.
func Ask(t testing.TB, base, nic string, exec func(argv ...string) (string, error)) Answers {
	t.Helper()
	if _, err := os.Stat(module); err != nil {
		t.Fatalf("needs Debian's package cloud-init (scripts/deps.sh test): %v", err)
	}
	out, err := exec(python, "-I", "-c", script, base, nic)
	if err != nil {
		t.Fatalf("cloud-init: %v", err)
	}
	var a Answers
	if err := json.Unmarshal([]byte(out), &a); err != nil {
		t.Fatal(fmt.Errorf("what cloud-init says, %.200q: %w", out, err))
	}
	return a
}
