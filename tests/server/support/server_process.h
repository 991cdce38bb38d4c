#pragma once

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdint>
#include <fstream>
#include <memory>
#include <sstream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "engine/support/temporary_directory.h"

// Runs server programs (varve-server, or redis-server to compare with) for end-to-end tests, each
// on a free port of 127.0.0.1 and in a temporary directory.
// Errors: exceptions, which fail the test.
namespace varve::server::test {

using TempDir = engine::testing::TemporaryDirectory;

inline std::string ReadFile(const std::string& path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

// A TCP port of 127.0.0.1 that nobody listens on now.
inline int FreePort() {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(address);
  if (fd < 0 || bind(fd, reinterpret_cast<sockaddr*>(&address), size) != 0 ||
      getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) != 0) {
    throw std::runtime_error("no free port");
  }
  close(fd);
  return ntohs(address.sin_port);
}

// Calls `done` until it is true, for at most `seconds`. False if it never was.
template <typename Done>
bool WaitFor(Done done, double seconds = 10) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::duration<double>(seconds);
  while (!done()) {
    if (std::chrono::steady_clock::now() > end) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  return true;
}

// A child process whose output goes to a file. Killed, by its own pid, if it still runs at the end.
class Process {
 public:
  Process(const std::string& program, const std::vector<std::string>& arguments,
          std::string output_path)
      : output_path_(std::move(output_path)) {
    std::vector<char*> argv = {const_cast<char*>(program.c_str())};
    for (const std::string& argument : arguments)
      argv.push_back(const_cast<char*>(argument.c_str()));
    argv.push_back(nullptr);
    pid_ = fork();
    if (pid_ < 0) throw std::runtime_error("fork failed");
    if (pid_ == 0) {
      const int out = open(output_path_.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0644);
      const int in = open("/dev/null", O_RDONLY);
      dup2(in, 0);
      dup2(out, 1);
      dup2(out, 2);
      execvp(program.c_str(), argv.data());
      _exit(127);
    }
  }
  ~Process() {
    if (pid_ <= 0) return;
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  pid_t pid() const { return pid_; }
  std::string output() const { return ReadFile(output_path_); }
  void Signal(int signal) const {
    if (pid_ > 0) kill(pid_, signal);
  }

  // The exit code, or 128 + signal; throws if the process still runs after `seconds`.
  int WaitForExit(double seconds = 30) {
    if (!WaitFor([&] { return HasExited(); }, seconds)) {
      throw std::runtime_error("the process does not end; its output:\n" + output());
    }
    return exit_code_;
  }
  bool HasExited() {
    int status = 0;
    if (pid_ > 0 && waitpid(pid_, &status, WNOHANG) == pid_) {
      pid_ = -1;
      exit_code_ = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    }
    return pid_ <= 0;
  }

 private:
  const std::string output_path_;
  pid_t pid_ = -1;
  int exit_code_ = -1;
};

// The result of a program that ends by itself.
struct Outcome {
  int exit_code;
  std::string output;  // both streams
};
inline Outcome RunToEnd(const std::string& program, const std::vector<std::string>& arguments,
                        double seconds = 60) {
  const TempDir dir;
  Process process(program, arguments, dir.path() + "/output");
  const int exit_code = process.WaitForExit(seconds);
  return {exit_code, process.output()};
}

// A server that has been waited for until it accepts connections.
class ServerProcess {
 public:
  // `options` follow the port and directory. The data stays in `dir` from start to start.
  ServerProcess(std::string program, const std::string& dir, std::vector<std::string> options = {})
      : program_(std::move(program)), dir_(dir), options_(std::move(options)), port_(FreePort()) {
    Start();
  }

  void Start() {
    std::vector<std::string> arguments = {"--port", std::to_string(port_), "--dir", dir_};
    arguments.insert(arguments.end(), options_.begin(), options_.end());
    process_ = std::make_unique<Process>(program_, arguments, log_path());
    const bool up = WaitFor([&] { return process_->HasExited() || Accepts(); }, 60);
    if (!up || process_->HasExited()) {
      throw std::runtime_error("the server does not start:\n" + process_->output());
    }
  }
  // As `kill -9`, and waits until it is gone.
  void KillHard() {
    process_->Signal(SIGKILL);
    process_->WaitForExit();
  }
  // As `kill`; the exit code.
  int Stop() {
    process_->Signal(SIGTERM);
    return process_->WaitForExit();
  }
  void Restart() {
    KillHard();
    Start();
  }

  int port() const { return port_; }
  Process& process() { return *process_; }
  const std::string& dir() const { return dir_; }
  std::string log_path() const { return dir_ + "/server.log"; }
  std::string log() const { return ReadFile(log_path()); }
  std::vector<std::string>& options() { return options_; }

 private:
  bool Accepts() const {
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(static_cast<uint16_t>(port_));
    const bool accepts =
        connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0;
    close(fd);
    return accepts;
  }

  const std::string program_;
  const std::string dir_;
  std::vector<std::string> options_;
  const int port_;
  std::unique_ptr<Process> process_;
};

}  // namespace varve::server::test
