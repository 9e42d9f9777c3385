#pragma once
/// Processes of this machine: started, watched, ended. The only door to fork and exec.
///
/// A child is this very binary; it dies with its parent (parent-death signal, then getppid), ignores SIGINT and SIGTERM
/// of the terminal's group by being told so, and writes stderr to a log file.

#include <sys/types.h>

#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/time.hpp"

namespace dtrain::launch {

struct Command {
  std::string name;                                              ///< "worker 1", for messages
  std::vector<std::string> arguments;                            ///< after the binary itself
  std::vector<std::pair<std::string, std::string>> environment;  ///< added to ours
  std::filesystem::path log;                                     ///< stdout and stderr are appended to it
};

/// How a child ended.
struct Exit {
  int code = 0;    ///< exit status, if it exited
  int signal = 0;  ///< or the signal that killed it
  /// "exited with status 4", "was killed by signal 9 (SIGKILL)"
  std::string text() const;
};

class Child {
 public:
  /// Throws Error(Kind::environment) if the process cannot be started.
  explicit Child(const Command& command);
  /// Kills (SIGKILL) and reaps if it still runs.
  ~Child();
  Child(Child&& other) noexcept;
  Child& operator=(Child&&) = delete;

  const std::string& name() const { return name_; }
  pid_t pid() const { return pid_; }
  /// Readable when the process has ended: for poll.
  int descriptor() const { return pidfd_; }
  /// How it ended, once it has. Never blocks.
  std::optional<Exit> ended();
  void signal(int number);
  /// Waits until it has ended or the deadline passed; then SIGKILL. Returns how it ended.
  Exit finish(Seconds within);

 private:
  std::string name_;
  pid_t pid_ = -1;
  int pidfd_ = -1;
  std::optional<Exit> exit_;
};

/// Called first in a child role: asks the kernel for SIGKILL when the parent dies, and checks that it has not died yet.
void die_with_parent();

/// SIGINT and SIGTERM as something to poll: handlers that write to an eventfd. One instance in a process.
class Signals {
 public:
  Signals();
  ~Signals();
  int descriptor() const { return fd_; }
  /// Signals received so far (first: finish the step; second: at once); 0 if none. Clears readability.
  int count();
  /// The number of the last one.
  int last() const;

 private:
  int fd_;
};

/// Cores this process may use (affinity, cgroup quota), at least 1; and bytes of memory available.
int cores();
std::size_t memory_bytes();
std::string host_name();

/// A fresh 0700 folder with a short name for Unix sockets, removed (with its content) by the destructor.
class SocketFolder {
 public:
  SocketFolder();
  ~SocketFolder();
  SocketFolder(const SocketFolder&) = delete;
  SocketFolder& operator=(const SocketFolder&) = delete;
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

}  // namespace dtrain::launch
