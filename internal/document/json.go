package document

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
)

// JSON reads one JSON text (RFC 8259). Refused are, beyond what the RFC refuses: a name given twice in one object, text after
// the value, and what exceeds the limits. The error is an *Error.
func JSON(text []byte, limits Limits) (Value, error) {
	if err := checkUTF8(text); err != nil {
		return Value{}, err
	}
	p := &jsonParser{text: text, dec: json.NewDecoder(bytes.NewReader(text)), budget: limits.budget(), line: 1}
	p.dec.UseNumber()
	v, err := p.value(1)
	if err != nil {
		return Value{}, err
	}
	if _, err := p.dec.Token(); !errors.Is(err, io.EOF) {
		return Value{}, errorf(p.here(), "text after the end of the JSON value")
	}
	return v, nil
}

type jsonParser struct {
	text   []byte
	dec    *json.Decoder
	budget *budget
	line   int // of offset at
	at     int64
}

// here gives the line of the decoder's position.
func (p *jsonParser) here() int {
	to := min(p.dec.InputOffset(), int64(len(p.text)))
	if to > p.at {
		p.line += bytes.Count(p.text[p.at:to], []byte{'\n'})
		p.at = to
	}
	return p.line
}

func (p *jsonParser) token() (json.Token, error) {
	t, err := p.dec.Token()
	switch {
	case err == nil:
		return t, nil
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return nil, errorf(1+bytes.Count(p.text, []byte{'\n'}), "the JSON ends too early")
	}
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) {
		end := min(max(syntax.Offset, 0), int64(len(p.text)))
		return nil, errorf(1+bytes.Count(p.text[:end], []byte{'\n'}), "not JSON: %s (byte %d)", syntax.Error(), syntax.Offset)
	}
	return nil, errorf(p.here(), "not JSON: %v", err)
}

func (p *jsonParser) value(depth int) (Value, error) {
	t, err := p.token()
	if err != nil {
		return Value{}, err
	}
	return p.rest(t, depth)
}

// rest reads the remainder of the value that begins with the token.
func (p *jsonParser) rest(t json.Token, depth int) (Value, error) {
	v := Value{Line: p.here()}
	if err := p.budget.take(v.Line, depth); err != nil {
		return Value{}, err
	}
	switch t {
	case json.Delim('{'):
		v.Kind = Map
		return v, p.members(&v, depth)
	case json.Delim('['):
		v.Kind = List
		for {
			t, err := p.token()
			if err != nil {
				return Value{}, err
			}
			if t == json.Delim(']') {
				return v, nil
			}
			item, err := p.rest(t, depth+1)
			if err != nil {
				return Value{}, err
			}
			v.List = append(v.List, item)
		}
	}
	v.Scalar = t // string, bool, json.Number or nil
	return v, nil
}

func (p *jsonParser) members(v *Value, depth int) error {
	var ns names
	for {
		t, err := p.token()
		if err != nil {
			return err
		}
		name, ok := t.(string)
		if !ok {
			v.Members = ns.members
			return nil // the closing brace: the decoder lets nothing else through
		}
		line := p.here()
		if ns.has(name) {
			return errorf(line, "%q is given twice", clip(name))
		}
		member, err := p.value(depth + 1)
		if err != nil {
			return err
		}
		ns.add(Member{Name: name, Line: line, Value: member})
	}
}
