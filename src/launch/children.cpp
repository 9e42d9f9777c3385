#include "launch/children.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <cstdlib>
#include <cstring>

#include <fmt/format.h>

#include "base/error.hpp"
#include "base/file.hpp"

namespace dtrain::launch {
namespace {

/// Closes what it owns. Never 0, 1 or 2, so that dup2 onto these always makes a copy without close-on-exec.
class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {
    if (fd_ < 0 || fd_ > STDERR_FILENO) return;
    fd_ = ::fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    ::close(fd);
  }
  ~Descriptor() { close(); }
  Descriptor(Descriptor&& other) noexcept : fd_(other.release()) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return fd_; }
  int release() { return std::exchange(fd_, -1); }
  void close() {
    if (fd_ >= 0) ::close(fd_);
    fd_ = -1;
  }

 private:
  int fd_;
};

[[noreturn]] void fail_start(const Command& command, std::string_view step, int code) {
  throw Error(Kind::environment, with_errno(fmt::format("cannot start {}: {}", command.name, step), code));
}

/// argv or envp: pointers into strings that must outlive it.
std::vector<char*> pointers_to(std::vector<std::string>& strings) {
  std::vector<char*> pointers;
  for (auto& text : strings) pointers.push_back(text.data());
  pointers.push_back(nullptr);
  return pointers;
}

std::vector<std::string> environment_of(const Command& command) {
  auto added = command.environment;
  added.emplace_back(parent_variable, std::to_string(::getpid()));
  std::vector<std::string> result;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view old = *entry;
    bool replaced = false;
    for (const auto& [name, value] : added) replaced |= old.substr(0, old.find('=')) == name;
    if (!replaced) result.emplace_back(old);
  }
  for (const auto& [name, value] : added) result.push_back(fmt::format("{}={}", name, value));
  return result;
}

/// All that the child needs between fork and exec, made before the fork: there, only async-signal-safe calls are made
/// and nothing is allocated, for another thread may have held the allocator's lock.
struct Preparation {
  const char* binary;
  char** arguments;
  char** environment;
  int input, log, report;
  pid_t parent;
};

/// What a child that could not become the program tells through the pipe.
struct Failure {
  int step;
  int code;
};
constexpr const char* steps[] = {"its parent has gone", "its descriptors", "its program"};
enum Step : int { step_parent, step_descriptors, step_program };

void close_all_on_exec() {
  if (::close_range(STDERR_FILENO + 1, ~0U, CLOSE_RANGE_CLOEXEC) == 0) return;
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  for (int fd = STDERR_FILENO + 1; static_cast<rlim_t>(fd) < limit.rlim_cur && fd < 65536; ++fd)
    ::fcntl(fd, F_SETFD, FD_CLOEXEC);
}

void set_signals() {
  struct sigaction action {};
  action.sa_handler = SIG_IGN;  // ignored signals stay so through exec, handlers do not
  ::sigaction(SIGINT, &action, nullptr);
  ::sigaction(SIGTERM, &action, nullptr);
  action.sa_handler = SIG_DFL;
  ::sigaction(SIGPIPE, &action, nullptr);
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
}

/// Runs in the child. Returns only the step that failed.
Step become(const Preparation& with) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != with.parent) return step_parent;
  set_signals();
  if (::dup2(with.input, STDIN_FILENO) < 0 || ::dup2(with.log, STDOUT_FILENO) < 0 ||
      ::dup2(with.log, STDERR_FILENO) < 0)
    return step_descriptors;
  close_all_on_exec();
  ::execve(with.binary, with.arguments, with.environment);
  return step_program;
}

/// _Fork, not fork: handlers that libraries register for fork would stop this process's BLAS threads for nothing.
pid_t fork_into(const Preparation& with) {
  const pid_t pid = ::_Fork();
  if (pid != 0) return pid;
  const Step failed = become(with);
  const Failure failure{failed, errno};
  [[maybe_unused]] const ssize_t told = ::write(with.report, &failure, sizeof failure);
  ::_exit(127);
}

/// End of file: the program runs, for exec closed the other end.
std::optional<Failure> read_failure(int pipe) {
  Failure failure{};
  ssize_t got;
  do {
    got = ::read(pipe, &failure, sizeof failure);
  } while (got < 0 && errno == EINTR);
  if (got != sizeof failure) return std::nullopt;
  return failure;
}

/// Waits until `pid` has ended or, with WNOHANG, asks whether it has.
std::optional<Exit> reap(pid_t pid, int flags) {
  int status = 0;
  pid_t got;
  do {
    got = ::waitpid(pid, &status, flags);
  } while (got < 0 && errno == EINTR);
  if (got == 0) return std::nullopt;
  if (got < 0) return Exit{static_cast<int>(Kind::internal), 0};  // somebody else has reaped it
  if (WIFSIGNALED(status)) return Exit{0, WTERMSIG(status)};
  return Exit{WEXITSTATUS(status), 0};
}

/// glibc 2.36 declares pidfd_open without C linkage, so that C++ cannot link to it.
int open_pidfd(pid_t pid) { return static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)); }

/// A process that was started with SIGCHLD ignored never learns how its children ended.
void let_children_be_waited_for() {
  struct sigaction action {};
  if (::sigaction(SIGCHLD, nullptr, &action) != 0 || action.sa_handler != SIG_IGN) return;
  action.sa_handler = SIG_DFL;
  ::sigaction(SIGCHLD, &action, nullptr);
}

std::string signal_text(int signal) {
  const char* name = ::sigabbrev_np(signal);
  return name != nullptr ? fmt::format("signal {} (SIG{})", signal, name) : fmt::format("signal {}", signal);
}

/// Both ends of a child's stdin, with all that it is given in between; only the near one if it is given nothing.
struct Input {
  Descriptor near, far;
};
Input open_input(const Command& command) {
  if (command.input.empty()) {
    const int null = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (null < 0) fail_start(command, "/dev/null", errno);
    return {Descriptor(null), Descriptor(-1)};
  }
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) fail_start(command, "a pipe", errno);
  Input input{Descriptor(ends[0]), Descriptor(ends[1])};
  const auto size = static_cast<ssize_t>(command.input.size());
  if (size > PIPE_BUF || ::write(input.far.get(), command.input.data(), command.input.size()) != size)
    fail_start(command, "its input", errno);
  return input;
}

/// A running program and our end of its stdin.
struct Started {
  pid_t pid;
  int input;
};

Started start(const Command& command) {
  Input input = open_input(command);
  const Descriptor log(::open(command.log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644));
  if (log.get() < 0) fail_start(command, "its log " + command.log.string(), errno);
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) fail_start(command, "a pipe", errno);
  const Descriptor from_child(ends[0]);
  Descriptor to_parent(ends[1]);

  const bool ours = command.binary == Command().binary;
  std::vector<std::string> arguments{ours ? "dtrain" : command.binary.filename().string()};
  arguments.insert(arguments.end(), command.arguments.begin(), command.arguments.end());
  auto environment = environment_of(command);
  auto argument_pointers = pointers_to(arguments), environment_pointers = pointers_to(environment);
  let_children_be_waited_for();
  const pid_t pid = fork_into({command.binary.c_str(), argument_pointers.data(), environment_pointers.data(),
                               input.near.get(), log.get(), to_parent.get(), ::getpid()});
  if (pid < 0) fail_start(command, "fork", errno);
  to_parent.close();
  if (const auto failure = read_failure(from_child.get())) {
    reap(pid, 0);
    const std::string step = failure->step == step_program ? command.binary.string() : steps[failure->step];
    fail_start(command, step, failure->code);
  }
  return {pid, input.far.release()};
}

}  // namespace

std::string Exit::text() const {
  return signal == 0 ? fmt::format("exited with status {}", code) : "was killed by " + signal_text(signal);
}

std::string Stop::text() const { return "was stopped by " + signal_text(signal); }

Child::Child(const Command& command) : name_(command.name) {
  const Started started = start(command);
  pid_ = started.pid, input_ = started.input;
  pidfd_ = open_pidfd(pid_);
  if (pidfd_ >= 0) return;
  const int code = errno;
  close_input();
  ::kill(pid_, SIGKILL);
  reap(pid_, 0);
  fail_start(command, "pidfd_open", code);
}

Child::Child(Child&& other) noexcept
    : name_(std::move(other.name_)),
      pid_(std::exchange(other.pid_, -1)),
      input_(std::exchange(other.input_, -1)),
      pidfd_(std::exchange(other.pidfd_, -1)),
      exit_(other.exit_),
      stop_(other.stop_) {}

Child& Child::operator=(Child&& other) noexcept {
  std::swap(name_, other.name_);
  std::swap(pid_, other.pid_);
  std::swap(input_, other.input_);
  std::swap(pidfd_, other.pidfd_);
  std::swap(exit_, other.exit_);
  std::swap(stop_, other.stop_);
  return *this;
}

Child::~Child() {
  close_input();
  if (pid_ < 0) return;
  signal(SIGKILL);
  if (!exit_) reap(pid_, 0);
  ::close(pidfd_);
}

void Child::close_input() {
  if (input_ >= 0) ::close(std::exchange(input_, -1));
}

std::optional<Exit> Child::ended() {
  if (!exit_) exit_ = reap(pid_, WNOHANG);
  return exit_;
}

/// The kernel tells of each stop and each continuation once.
std::optional<Stop> Child::stopped() {
  for (;;) {
    siginfo_t info{};
    const int done = ::waitid(P_PID, static_cast<id_t>(pid_), &info, WSTOPPED | WCONTINUED | WNOHANG);
    if (done < 0 && errno == EINTR) continue;
    if (done < 0 || info.si_pid == 0) return stop_;
    if (info.si_code == CLD_STOPPED)
      stop_ = Stop{info.si_status, Clock::now()};
    else
      stop_.reset();
  }
}

void Child::signal(int number) {
  if (!ended()) ::kill(pid_, number);  // not reaped yet: the number cannot be another process's
}

Exit Child::finish(Seconds within) {
  close_input();
  const Deadline deadline(within);
  while (!ended()) {
    if (deadline.passed()) {
      signal(SIGKILL);
      if (!exit_) exit_ = reap(pid_, 0);
      break;
    }
    pollfd item{pidfd_, POLLIN, 0};
    ::poll(&item, 1, deadline.milliseconds(60'000));
  }
  return *exit_;
}

bool input_ended(int descriptor) {
  pollfd item{descriptor, POLLIN, 0};
  while (::poll(&item, 1, 0) == 1) {
    char ignored[256];
    const ssize_t got = ::read(descriptor, ignored, sizeof ignored);
    if (got == 0 || (got < 0 && errno != EINTR && errno != EAGAIN)) return true;
  }
  return false;
}

void die_with_parent() {
  const char* parent = std::getenv(parent_variable);
  if (parent == nullptr) return;
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (std::to_string(::getppid()) != parent) ::kill(::getpid(), SIGKILL);
}

void restart_with(const Variable& variable) {
  if (::getenv(variable.name) != nullptr || ::setenv(variable.name, variable.value, 1) != 0) return;
  const std::string words = read_file("/proc/self/cmdline", Kind::internal);
  std::vector<char*> arguments;
  for (std::size_t at = 0; at < words.size(); at += std::strlen(words.c_str() + at) + 1)
    arguments.push_back(const_cast<char*>(words.c_str() + at));
  arguments.push_back(nullptr);
  ::execv("/proc/self/exe", arguments.data());
}

}  // namespace dtrain::launch
