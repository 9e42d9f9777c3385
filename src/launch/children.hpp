#pragma once
/// Processes of this machine: started, watched, ended. The only door to fork and exec.
///
/// A child is this very binary; it dies with its parent (parent-death signal, then getppid), ignores SIGINT and SIGTERM
/// of the terminal's group by being told so, and writes stdout and stderr to a log file. It inherits no descriptor but
/// these, and stdin, from /dev/null or a pipe.
///
/// The kernel's parent is a thread: start children from one that lives as long as they shall (the main thread).

#include <signal.h>
#include <sys/types.h>

#include <cstdint>
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
  std::filesystem::path binary = "/proc/self/exe";               ///< another one in tests, and to reach other hosts
  std::string input{};  ///< on stdin, which then stays open as long as the Child; "": stdin is /dev/null
};

/// How long an OpenMP thread spins before it sleeps. libgomp's default collapses (tenfold and more) when cores are
/// shared.
struct Variable {
  const char* name;
  const char* value;
};
inline constexpr Variable spin_count{"GOMP_SPINCOUNT", "10000"};

/// Starts this program anew with the same arguments and `variable` set, unless it is set to something already: OpenMP
/// reads its settings before main(). Returns if there is nothing to do, or if the kernel refuses.
void restart_with(const Variable& variable);

/// How a child ended.
struct Exit {
  int code = 0;    ///< exit status, if it exited
  int signal = 0;  ///< or the signal that killed it
  /// "exited with status 4", "was killed by signal 9 (SIGKILL)"
  std::string text() const;
};

/// Since when a child has been stopped (SIGSTOP, Ctrl-Z), as far as has been looked, and by which signal.
struct Stop {
  int signal = 0;
  Clock::time_point since;
  /// "was stopped by signal 19 (SIGSTOP)"
  std::string text() const;
};

/// One process. Used by one thread at a time.
class Child {
 public:
  /// Returns once the new program runs. Throws Error(Kind::environment) if it cannot be started, or its log opened.
  explicit Child(const Command& command);
  /// Kills (SIGKILL) and reaps if it still runs.
  ~Child();
  Child(Child&& other) noexcept;
  Child& operator=(Child&& other) noexcept;

  const std::string& name() const { return name_; }
  pid_t pid() const { return pid_; }
  /// Readable when the process has ended: for poll.
  int descriptor() const { return pidfd_; }
  /// How it ended, once it has. Never blocks.
  std::optional<Exit> ended();
  /// Whether it is stopped: to be asked now and then, for nothing becomes readable. Never blocks.
  std::optional<Stop> stopped();
  /// Nothing happens if it has ended.
  void signal(int number);
  /// Ends its stdin, waits until it has ended or the deadline passed; then SIGKILL. Returns how it ended.
  Exit finish(Seconds within);

 private:
  void close_input();
  std::string name_;
  pid_t pid_ = -1;
  int input_ = -1;  ///< our end of its stdin
  int pidfd_ = -1;
  std::optional<Exit> exit_;
  std::optional<Stop> stop_;
};

/// Whether nothing more will come by this descriptor: its other end is closed. Never blocks; drops what is there.
bool input_ended(int descriptor);

/// The environment variable in which a child finds the process id of its parent.
inline constexpr const char* parent_variable = "DTRAIN_PARENT";

/// Called first in a child role: asks the kernel for SIGKILL when the parent dies, and checks that it has not died yet.
/// Does nothing in a role that was not started by Child: that one belongs to its shell.
void die_with_parent();

/// SIGINT and SIGTERM as something to poll: handlers that write to an eventfd. One instance in a process; the handlers
/// that it found are put back by the destructor. Whoever does not end within a second of the second signal is ended
/// (128 + n). System calls return EINTR (no SA_RESTART).
class Signals {
 public:
  Signals();
  ~Signals();
  Signals(const Signals&) = delete;
  Signals& operator=(const Signals&) = delete;
  int descriptor() const { return fd_; }
  /// Signals received so far (first: finish the step; second: at once); 0 if none. What follows within 0.1 s is the
  /// same one. Clears readability.
  int count();
  /// The number of the last one; 0 if none.
  int last() const;

 private:
  int fd_;
  int count_ = 0;
  struct sigaction old_interrupt_ {};
  struct sigaction old_terminate_ {};
  struct sigaction old_alarm_ {};
};

/// Cores this process may use (affinity, cgroup v2 quota rounded down), at least 1; and bytes of memory that it may
/// still take (the kernel's MemAvailable, cgroup v2 limits; file pages that can be dropped count as free).
/// `root`: where proc/ and sys/ are mounted.
int cores(const std::filesystem::path& root = "/");
std::size_t memory_bytes(const std::filesystem::path& root = "/");
std::string host_name();

/// How many files this process may have open. raise_descriptor_limit() takes what the kernel lets anybody take: the
/// soft limit becomes the hard one.
struct DescriptorLimit {
  std::uint64_t before = 0, now = 0;
};
DescriptorLimit raise_descriptor_limit();

/// A fresh 0700 folder with a short name for Unix sockets, removed (with its content) by the destructor. Under
/// $XDG_RUNTIME_DIR, $TMPDIR or /tmp: the first that can be written to and whose path leaves a socket's name 40 bytes.
/// Its owner holds a lock on a file in it; the next one made there by the same user removes those whose owner is gone.
class SocketFolder {
 public:
  SocketFolder();
  ~SocketFolder();
  SocketFolder(const SocketFolder&) = delete;
  SocketFolder& operator=(const SocketFolder&) = delete;
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
  int lock_ = -1;
};

}  // namespace dtrain::launch
