package cli

import (
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/openvnet/openvnet/client"
)

// config is what flags, environment and files say.
type config struct {
	server    string
	output    string
	token     string // the token itself
	tokenFile string
	caFile    string
}

// settings are the keys of a configuration file, and what they mean when absent.
var settings = map[string]string{
	"webapi_protocol": "", "webapi_uri": "127.0.0.1", "webapi_port": "9090", "webapi_version": "1.0", "output_format": "table",
	"token_file": "", "ca_file": "",
}

// settingNames are the keys as messages list them.
const settingNames = "webapi_protocol, webapi_uri, webapi_port, webapi_version, output_format, token_file, ca_file"

// config reads the configuration: flags before the environment before the first file that exists.
func (e *Env) config() (config, error) {
	values := map[string]string{}
	files := e.Files
	if e.Home != "" {
		files = append([]string{filepath.Join(e.Home, ".vnctlrc"), filepath.Join(e.Home, ".vnctl.conf")}, files...)
	}
	for _, name := range files {
		text, err := os.ReadFile(name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return config{}, fmt.Errorf("read the configuration: %w", err)
		}
		if values, err = parseConfig(name, string(text)); err != nil {
			return config{}, err
		}
		break
	}
	value := func(key string) string { return cmp.Or(values[key], settings[key]) }
	c := config{
		output:    cmp.Or(e.flags.output, value("output_format")),
		token:     e.Getenv("VNET_TOKEN"),
		tokenFile: cmp.Or(e.flags.tokenFile, value("token_file")),
		caFile:    cmp.Or(e.flags.ca, e.Getenv("VNET_CA"), value("ca_file")),
	}
	if e.flags.tokenFile != "" {
		c.token = ""
	}
	// Who names a CA means TLS.
	protocol := cmp.Or(value("webapi_protocol"), map[bool]string{true: "https", false: "http"}[c.caFile != ""])
	switch given := cmp.Or(e.flags.server, e.Getenv("VNET_WEBAPI")); {
	case given == "":
		c.server = fmt.Sprintf("%s://%s/api/%s", protocol, net.JoinHostPort(value("webapi_uri"), value("webapi_port")), value("webapi_version"))
	case strings.Contains(given, "://"):
		c.server = given
	default:
		c.server = protocol + "://" + given
	}
	return c, nil
}

// options gives what the client is made with.
func (c config) options() (client.Options, error) {
	o := client.Options{Server: c.server, Token: c.token}
	if o.Token == "" && c.tokenFile != "" {
		text, err := os.ReadFile(c.tokenFile)
		if err != nil {
			return o, fmt.Errorf("read the token: %w", err)
		}
		if o.Token = strings.TrimSpace(string(text)); o.Token == "" {
			return o, fmt.Errorf("%s holds no token", c.tokenFile)
		}
	}
	if strings.ContainsFunc(o.Token, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return o, errors.New("the token holds a blank or a character that tokens do not have")
	}
	if c.caFile != "" {
		pem, err := os.ReadFile(c.caFile)
		if err != nil {
			return o, fmt.Errorf("read the CA: %w", err)
		}
		roots := x509.NewCertPool()
		if !roots.AppendCertsFromPEM(pem) {
			return o, fmt.Errorf("%s holds no certificate in PEM", c.caFile)
		}
		o.TLS = &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
	}
	return o, nil
}

// parseConfig reads a configuration file: lines "key: value", as YAML has them; "key value" and "key = value" will do too, as in
// OpenVNet's own files.
func parseConfig(name, text string) (map[string]string, error) {
	values := map[string]string{}
	for i, line := range strings.Split(text, "\n") {
		line = strings.TrimSpace(line)
		if line == "" || line == "---" || line[0] == '#' {
			continue
		}
		end := strings.IndexAny(line, ":= \t(")
		if end < 0 {
			end = len(line)
		}
		key, value := strings.TrimPrefix(line[:end], "config."), strings.TrimSpace(line[end:])
		if _, ok := settings[key]; !ok {
			return nil, fmt.Errorf("%s:%d: unknown key %q; there are %s", name, i+1, key, settingNames)
		}
		if value == "" || value == ":" || value == "=" {
			return nil, fmt.Errorf("%s:%d: %s has no value", name, i+1, key)
		}
		if inner, ok := strings.CutPrefix(value, "("); ok {
			value = strings.TrimSuffix(strings.TrimSpace(inner), ")")
		} else if slices.Contains([]byte{':', '='}, value[0]) {
			value = value[1:] // one only: what follows may be an IPv6 address or a Ruby symbol
		}
		values[key] = unquote(strings.TrimSpace(value))
	}
	return values, nil
}

// unquote gives what stands between the quotes that a value begins with, or else the value without a comment at its end. A symbol
// of Ruby is its name.
func unquote(value string) string {
	if value != "" && (value[0] == '"' || value[0] == '\'') {
		if inner, _, ok := strings.Cut(value[1:], value[:1]); ok {
			return inner
		}
	}
	value, _, _ = strings.Cut(value, " #")
	return strings.TrimSpace(value)
}
