package services

import (
	"encoding/binary"
	"errors"
	"net"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// server answers questions on the loopback, which are numbers, but for those that answer refuses.
func server(t *testing.T, answer func(id uint16) bool) *unix.SockaddrInet4 {
	t.Helper()
	c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for b := make([]byte, 2); ; {
			_, from, err := c.ReadFromUDPAddrPort(b)
			if err != nil {
				return
			}
			if answer(binary.BigEndian.Uint16(b)) {
				_, _ = c.WriteToUDPAddrPort(b, from) // who does not get it asks again
			}
		}
	}()
	t.Cleanup(func() { c.Close(); <-ended })
	return &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}, Port: c.LocalAddr().(*net.UDPAddr).Port}
}

func numbers() question {
	return question{
		text:   make([]byte, 2),
		number: func(text []byte, id uint16) { binary.BigEndian.PutUint16(text, id) },
		read:   func(b []byte) (uint16, bool, error) { return binary.BigEndian.Uint16(b), true, nil },
	}
}

// runLoad runs a load of lines with several questions under way.
func runLoad(t *testing.T, to unix.Sockaddr, q question, lines, outstanding int) (answers, error) {
	t.Helper()
	var all []line
	for range lines {
		fd, err := udpSocket(unix.AF_INET, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}, to)
		if err != nil {
			t.Fatal(err)
		}
		own := q
		own.text = make([]byte, 2)
		l := newDatagrams(fd, own, outstanding)
		t.Cleanup(func() { _ = l.close() })
		all = append(all, l)
	}
	l, err := newLoad(all, 40*time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	defer l.close()
	marks := 0
	a, err := l.run(t.Context(), spans{5 * time.Millisecond, 100 * time.Millisecond, func() error { marks++; return nil }})
	if err == nil && marks != 2 {
		t.Errorf("%d times at the ends of spans", marks)
	}
	return a, err
}

func TestLoad(t *testing.T) {
	a, err := runLoad(t, server(t, func(uint16) bool { return true }), numbers(), 5, 4)
	if err != nil || a.lost != 0 || len(a.times) < 20 || a.took < 100*time.Millisecond {
		t.Errorf("%d answers, %d lost in %v, %v", len(a.times), a.lost, a.took, err)
	}
	for _, took := range a.times {
		if took <= 0 || took > time.Second {
			t.Fatalf("an answer took %v", took)
		}
	}
}

// What is not answered is lost, and asked again; what is answered goes on meanwhile.
func TestLoadLoses(t *testing.T) {
	a, err := runLoad(t, server(t, func(id uint16) bool { return id%50 != 0 }), numbers(), 1, 4)
	if err != nil || a.lost == 0 || len(a.times) < 50 {
		t.Errorf("%d answers, %d lost, %v", len(a.times), a.lost, err)
	}
}

// Answers without a number are those of the oldest questions.
func TestLoadWithoutNumbers(t *testing.T) {
	q := numbers()
	q.read = func([]byte) (uint16, bool, error) { return noNumber, true, nil }
	a, err := runLoad(t, server(t, func(uint16) bool { return true }), q, 2, 3)
	if err != nil || a.lost != 0 || len(a.times) < 20 {
		t.Errorf("%d answers, %d lost, %v", len(a.times), a.lost, err)
	}
}

// A wrong answer ends the run.
func TestLoadRefusesWrongAnswers(t *testing.T) {
	wrong := errors.New("wrong")
	q := numbers()
	q.read = func([]byte) (uint16, bool, error) { return 1, true, wrong }
	if _, err := runLoad(t, server(t, func(uint16) bool { return true }), q, 1, 1); !errors.Is(err, wrong) {
		t.Error(err)
	}
}
