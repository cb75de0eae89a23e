// Package tidegate looks at the server from outside, by the published Go client.
//
// The tests share one server, the real binary with the configuration that the other SDKs are tested with; each has
// users and channels of its own, and goes through both encodings.
package tidegate

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

const (
	startTime = 30 * time.Second
	stopTime  = 20 * time.Second
	logTail   = 60
)

var serving = regexp.MustCompile(` endpoints on .*:(\d+)`)

// running is the server that all tests share.
var running *server

func TestMain(m *testing.M) {
	var err error
	if running, err = start(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	status := m.Run()
	if err := running.stop(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		status = 1
	}
	os.Exit(status)
}

type server struct {
	address   string
	apiKey    string
	secret    string
	directory string
	process   *exec.Cmd
	ended     chan struct{}

	mutex sync.Mutex
	log   []string
}

// start runs the binary on a free port and returns when that port is open.
func start() (*server, error) {
	text, err := os.ReadFile("../support/configuration.json")
	if err != nil {
		return nil, err
	}
	config := map[string]any{}
	if err := json.Unmarshal(text, &config); err != nil {
		return nil, err
	}
	directory, err := os.MkdirTemp("", "tidegate-test-")
	if err != nil {
		return nil, err
	}
	s := &server{directory: directory, ended: make(chan struct{})}
	s.apiKey = object(config, "http_api")["key"].(string)
	s.secret = object(config, "client", "token")["hmac_secret_key"].(string)
	object(config, "http_server", "development_certificate")["directory"] = filepath.Join(directory, "certificate")
	if text, err = json.Marshal(config); err != nil {
		return nil, err
	}
	file := filepath.Join(directory, "config.json")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		return nil, err
	}
	binary, err := filepath.Abs("../../target/debug/tidegate")
	if err != nil {
		return nil, err
	}
	if chosen := os.Getenv("TIDEGATE_BIN"); chosen != "" {
		binary = chosen
	}
	// The port by a flag, because a zero in the file stands for the default port.
	s.process = exec.Command(binary, "--config", file, "--http_server.port", "0")
	s.process.Dir = directory
	s.process.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + directory}
	output, err := s.process.StderrPipe()
	if err != nil {
		return nil, err
	}
	if err := s.process.Start(); err != nil {
		return nil, err
	}
	port := make(chan string, 1)
	go s.read(output, port)
	select {
	case number := <-port:
		s.address = "127.0.0.1:" + number
		return s, nil
	case <-s.ended:
		return nil, fmt.Errorf("the server ended before it was ready:\n%s", s.tail())
	case <-time.After(startTime):
		_ = s.process.Process.Kill()
		return nil, fmt.Errorf("no port in the log within %v:\n%s", startTime, s.tail())
	}
}

func (s *server) read(output io.Reader, port chan<- string) {
	defer close(s.ended)
	lines := bufio.NewScanner(output)
	lines.Buffer(nil, 1<<20)
	found := false
	for lines.Scan() {
		s.mutex.Lock()
		s.log = append(s.log, lines.Text())
		s.mutex.Unlock()
		if match := serving.FindStringSubmatch(lines.Text()); match != nil && !found {
			found = true
			port <- match[1]
		}
	}
}

// stop ends the server as an operator would: it must end by itself, with status 0, and not have panicked.
func (s *server) stop() error {
	defer os.RemoveAll(s.directory)
	_ = s.process.Process.Signal(syscall.SIGTERM)
	select {
	case <-s.ended:
	case <-time.After(stopTime):
		_ = s.process.Process.Kill()
		return fmt.Errorf("the server did not stop within %v:\n%s", stopTime, s.tail())
	}
	if err := s.process.Wait(); err != nil {
		return fmt.Errorf("the server ended with %w:\n%s", err, s.tail())
	}
	s.mutex.Lock()
	defer s.mutex.Unlock()
	for _, line := range s.log {
		if strings.Contains(line, "panicked at") {
			return fmt.Errorf("the server panicked: %s", line)
		}
	}
	return nil
}

func (s *server) tail() string {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	return strings.Join(s.log[max(0, len(s.log)-logTail):], "\n")
}

// api calls the server API and returns the result; an error reply fails the test.
func (s *server) api(t *testing.T, method string, body any) map[string]any {
	t.Helper()
	text, err := json.Marshal(body)
	check(t, err)
	request, err := http.NewRequest(http.MethodPost, "http://"+s.address+"/api/"+method, bytes.NewReader(text))
	check(t, err)
	request.Header.Set("X-API-Key", s.apiKey)
	request.Header.Set("Content-Type", "application/json")
	response, err := http.DefaultClient.Do(request)
	check(t, err)
	defer response.Body.Close()
	answer := struct {
		Result map[string]any `json:"result"`
		Error  any            `json:"error"`
	}{}
	check(t, json.NewDecoder(response.Body).Decode(&answer))
	if response.StatusCode != http.StatusOK || answer.Error != nil {
		t.Fatalf("%s: status %d, error %v", method, response.StatusCode, answer.Error)
	}
	return answer.Result
}

// object finds an object of a configuration.
func object(config map[string]any, path ...string) map[string]any {
	for _, key := range path {
		config, _ = config[key].(map[string]any)
	}
	return config
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
