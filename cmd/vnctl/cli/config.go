package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
)

// config is what flags, environment and files say.
type config struct {
	server string
	output string
}

// config reads the configuration: flags before VNET_WEBAPI before the first file that exists.
func (e *Env) config() (config, error) {
	c := config{server: "127.0.0.1:9090", output: "table"}
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
			return c, fmt.Errorf("read the configuration: %w", err)
		}
		if err := c.parse(name, string(text)); err != nil {
			return c, err
		}
		break
	}
	if s := e.Getenv("VNET_WEBAPI"); s != "" {
		c.server = s
	}
	if e.flags.server != "" {
		c.server = e.flags.server
	}
	if e.flags.output != "" {
		c.output = e.flags.output
	}
	return c, nil
}

// parse reads a configuration file: lines "key: value", as YAML has them; "key value" and "key = value" will do too, as in
// OpenVNet's own files.
func (c *config) parse(name, text string) error {
	values := map[string]string{"webapi_protocol": "http", "webapi_uri": "127.0.0.1", "webapi_port": "9090", "webapi_version": "1.0", "output_format": ""}
	for i, line := range strings.Split(text, "\n") {
		line = strings.TrimSpace(line)
		if line == "" || line == "---" || line[0] == '#' {
			continue
		}
		end := strings.IndexAny(line, ":= \t")
		if end < 0 {
			return fmt.Errorf("%s:%d: %q is not a line \"key: value\"", name, i+1, line)
		}
		key, value := line[:end], strings.TrimSpace(line[end:])
		value = strings.TrimSpace(strings.TrimLeft(value, ":="))
		value = unquote(value)
		if _, ok := values[key]; !ok {
			return fmt.Errorf("%s:%d: unknown key %q; there are webapi_protocol, webapi_uri, webapi_port, webapi_version, output_format", name, i+1, key)
		}
		values[key] = value
	}
	c.server = fmt.Sprintf("%s://%s/api/%s", values["webapi_protocol"], net.JoinHostPort(values["webapi_uri"], values["webapi_port"]), values["webapi_version"])
	if values["output_format"] != "" {
		c.output = values["output_format"]
	}
	return nil
}

// unquote gives what stands between the quotes that a value begins with, or else the value without a comment at its end.
func unquote(value string) string {
	if value != "" && (value[0] == '"' || value[0] == '\'') {
		if inner, _, ok := strings.Cut(value[1:], value[:1]); ok {
			return inner
		}
	}
	value, _, _ = strings.Cut(value, " #")
	return strings.TrimSpace(value)
}
