// Package pki is the certificates of an installation: the manager's own certificate authority, the manager's certificate, and the
// hosts', with ECDSA keys on P-256. It reads and writes key files and knows no HTTP and no resource: who gets a certificate is
// for others to decide. Imported by manager/access, agent/join and cmd.
//
// Agents know the manager by ManagerName and the authority, not by an address, so a manager may move. The authority can be
// rotated: the new one is signed by the one before it as well, so that whoever trusts that one goes on, and takes the new one
// with its next renewal.
package pki
