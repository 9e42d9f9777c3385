#include <doctest/doctest.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <fstream>
#include <optional>
#include <sstream>

#include "base/error.hpp"
#include "launch/children.hpp"

using namespace dtrain;
using namespace dtrain::launch;
namespace fs = std::filesystem;

namespace {

constexpr Seconds long_enough{20};

/// A folder of the test's own, gone at its end.
struct Scratch {
  Scratch() {
    std::string name = (fs::temp_directory_path() / "launch-test-XXXXXX").string();
    REQUIRE(::mkdtemp(name.data()) != nullptr);
    path = name;
  }
  ~Scratch() {
    std::error_code ignored;
    fs::remove_all(path, ignored);
  }
  void put(const std::string& name, const std::string& text) const {
    fs::create_directories((path / name).parent_path());
    std::ofstream(path / name) << text;
  }
  std::string get(const std::string& name) const {
    std::ostringstream text;
    text << std::ifstream(path / name).rdbuf();
    return text.str();
  }
  fs::path path;
};

Command shell(const Scratch& scratch, const std::string& script) {
  return {"worker 1", {"-c", script}, {}, scratch.path / "log", "/bin/sh"};
}

bool readable(int descriptor, int timeout_ms) {
  pollfd item{descriptor, POLLIN, 0};
  int count;
  do {
    count = ::poll(&item, 1, timeout_ms);
  } while (count < 0 && errno == EINTR);
  return count == 1;
}

/// True if `pid` is neither running nor a zombie of ours.
bool gone(pid_t pid) { return ::kill(pid, 0) != 0 && errno == ESRCH; }

/// A named pipe that a process holds open for writing: its end of file tells that all who did are dead.
struct Fifo {
  explicit Fifo(const fs::path& path) {
    REQUIRE(::mkfifo(path.c_str(), 0600) == 0);
    reader = ::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    REQUIRE(reader >= 0);
  }
  ~Fifo() { ::close(reader); }
  /// The next bytes, or "" at the end of file.
  std::string next() const {
    char bytes[64];
    REQUIRE(readable(reader, 20'000));
    const ssize_t got = ::read(reader, bytes, sizeof bytes);
    REQUIRE(got >= 0);
    return {bytes, static_cast<std::size_t>(got)};
  }
  int reader;
};

}  // namespace

TEST_CASE("a child's exit status is reported, once it has ended and not before") {
  const Scratch scratch;
  Child child(shell(scratch, "exec sleep 1000"));
  CHECK(child.name() == "worker 1");
  CHECK_FALSE(child.ended());
  CHECK_FALSE(readable(child.descriptor(), 0));
  child.signal(SIGKILL);
  CHECK(readable(child.descriptor(), 20'000));
  CHECK(child.ended()->signal == SIGKILL);

  Child four(shell(scratch, "exit 4"));
  CHECK(four.finish(long_enough).code == 4);
  CHECK(four.finish(long_enough).text() == "exited with status 4");
  CHECK(four.ended()->code == 4);
}

TEST_CASE("the descriptor becomes readable when a child ends, and no zombie is left") {
  const Scratch scratch;
  Child child(shell(scratch, "exit 0"));
  CHECK(readable(child.descriptor(), 20'000));
  REQUIRE(child.ended());
  CHECK(child.ended()->code == 0);
  CHECK(gone(child.pid()));
}

TEST_CASE("a child killed by a signal says which") {
  const Scratch scratch;
  Child child(shell(scratch, "kill -9 $$"));
  CHECK(child.finish(long_enough).text() == "was killed by signal 9 (SIGKILL)");
  CHECK(Exit{0, SIGSEGV}.text() == "was killed by signal 11 (SIGSEGV)");
}

TEST_CASE("stdout and stderr are appended to the log, stdin is empty") {
  const Scratch scratch;
  scratch.put("log", "before\n");
  Child(shell(scratch, "cat; echo out; echo err >&2")).finish(long_enough);
  CHECK(scratch.get("log") == "before\nout\nerr\n");
}

TEST_CASE("the environment is ours, with what was added, and the parent's number") {
  const Scratch scratch;
  ::setenv("LAUNCH_TEST_KEPT", "kept", 1);
  ::setenv("LAUNCH_TEST_REPLACED", "old", 1);
  Command command = shell(scratch, "echo $LAUNCH_TEST_KEPT $LAUNCH_TEST_REPLACED $LAUNCH_TEST_NEW $DTRAIN_PARENT");
  command.environment = {{"LAUNCH_TEST_REPLACED", "new"}, {"LAUNCH_TEST_NEW", "a b"}};
  Child(command).finish(long_enough);
  CHECK(scratch.get("log") == "kept new a b " + std::to_string(::getpid()) + "\n");
}

TEST_CASE("a child inherits no descriptor but its standard three") {
  const Scratch scratch;
  int inheritable[2];
  REQUIRE(::pipe(inheritable) == 0);
  const std::string end = std::to_string(inheritable[1]);
  Child(shell(scratch, "test -e /proc/$$/fd/0 && ! test -e /proc/$$/fd/" + end + " && echo so")).finish(long_enough);
  ::close(inheritable[0]);
  ::close(inheritable[1]);
  CHECK(scratch.get("log") == "so\n");
}

TEST_CASE("a child ignores SIGINT and SIGTERM, so that its coordinator decides") {
  const Scratch scratch;
  Child child(shell(scratch, "kill -TERM $$; kill -INT $$; echo still here; exit 3"));
  CHECK(child.finish(long_enough).code == 3);
  CHECK(scratch.get("log") == "still here\n");
}

TEST_CASE("a child that is stopped is seen to be, with the signal, until it goes on") {
  const Scratch scratch;
  Child child(shell(scratch, "exec sleep 60"));
  CHECK_FALSE(child.stopped());
  const auto await_stop = [&child](bool wanted) {
    const Deadline deadline(long_enough);
    while (child.stopped().has_value() != wanted && !deadline.passed()) ::usleep(1000);
    return child.stopped();
  };
  const Clock::time_point before = Clock::now();
  child.signal(SIGSTOP);
  const auto stop = await_stop(true);
  REQUIRE(stop);
  CHECK(stop->signal == SIGSTOP);
  CHECK(stop->text() == "was stopped by signal 19 (SIGSTOP)");
  CHECK(stop->since >= before);
  CHECK_FALSE(child.ended());
  child.signal(SIGCONT);
  CHECK_FALSE(await_stop(false));
  child.signal(SIGSTOP);
  const auto again = await_stop(true);
  REQUIRE(again);
  CHECK(again->since > stop->since);  // each stop counts from its own beginning
  child.signal(SIGKILL);
  CHECK(child.finish(long_enough).signal == SIGKILL);
}

TEST_CASE("a child that does not end in time is killed") {
  const Scratch scratch;
  Child child(shell(scratch, "exec sleep 1000"));
  child.signal(SIGTERM);
  const Exit exit = child.finish(Seconds(0.01));
  CHECK(exit.signal == SIGKILL);
  CHECK(gone(child.pid()));
}

TEST_CASE("a program that cannot be started is an error that names it") {
  const Scratch scratch;
  Command command = shell(scratch, "");
  command.binary = scratch.path / "missing";
  try {
    Child child(command);
    FAIL("it started");
  } catch (const Error& error) {
    CHECK(error.kind() == Kind::environment);
    CHECK(std::string(error.what()) ==
          "cannot start worker 1: " + command.binary.string() + ": No such file or directory");
  }
  CHECK(::waitpid(-1, nullptr, WNOHANG) == -1);
  command = shell(scratch, "");
  command.log = scratch.path / "missing" / "log";
  CHECK_THROWS_AS(Child{command}, Error);
}

TEST_CASE("the destructor kills and reaps; a moved-from child does neither") {
  const Scratch scratch;
  pid_t pid = -1;
  {
    std::optional<Child> first(shell(scratch, "exec sleep 1000"));
    pid = first->pid();
    Child second(std::move(*first));
    first.reset();
    CHECK_FALSE(second.ended());
    CHECK(second.pid() == pid);
  }
  CHECK(gone(pid));
}

TEST_CASE("a child dies with its parent, even by kill -9") {
  const Scratch scratch;
  const Fifo fifo(scratch.path / "fifo");
  const Command command = shell(scratch, "exec > '" + (scratch.path / "fifo").string() + "'; echo up; exec sleep 1000");
  const pid_t middle = ::fork();
  if (middle == 0) {
    const Child child(command);
    for (;;) ::pause();
  }
  CHECK(fifo.next() == "up\n");
  ::kill(middle, SIGKILL);
  ::waitpid(middle, nullptr, 0);
  CHECK(fifo.next().empty());
}

TEST_CASE("a role whose parent is another than it was told does not live") {
  const pid_t orphan = ::fork();
  if (orphan == 0) {
    ::setenv(parent_variable, "1", 1);
    die_with_parent();
    ::_exit(0);
  }
  int status = 0;
  ::waitpid(orphan, &status, 0);
  CHECK(WIFSIGNALED(status));

  const pid_t by_hand = ::fork();
  if (by_hand == 0) {
    ::unsetenv(parent_variable);
    die_with_parent();
    ::_exit(0);
  }
  ::waitpid(by_hand, &status, 0);
  CHECK((WIFEXITED(status) && WEXITSTATUS(status) == 0));
}

TEST_CASE("children are reaped even where SIGCHLD was ignored") {
  const Scratch scratch;
  const auto old = std::signal(SIGCHLD, SIG_IGN);
  CHECK(Child(shell(scratch, "exit 6")).finish(long_enough).code == 6);
  std::signal(SIGCHLD, old);
}

TEST_CASE("signals are counted, polled, and left as they were found") {
  struct sigaction before {
  }, after{};
  ::sigaction(SIGTERM, nullptr, &before);
  {
    Signals signals;
    CHECK(signals.count() == 0);
    CHECK(signals.last() == 0);
    CHECK_FALSE(readable(signals.descriptor(), 0));
    ::raise(SIGINT);
    CHECK(readable(signals.descriptor(), 0));
    CHECK(signals.count() == 1);
    CHECK(signals.last() == SIGINT);
    CHECK_FALSE(readable(signals.descriptor(), 0));
    for (const Deadline deadline(long_enough); signals.count() < 2 && !deadline.passed();) ::raise(SIGTERM);
    CHECK(signals.count() == 2);
    CHECK(signals.last() == SIGTERM);
    CHECK_THROWS_AS(Signals{}, Error);
  }
  ::sigaction(SIGTERM, nullptr, &after);
  CHECK((before.sa_handler == after.sa_handler));
  Signals again;
  CHECK(again.count() == 0);
}

TEST_CASE("a signal that comes twice at once is one") {
  for (const Deadline deadline(long_enough); !deadline.passed();) {
    Signals signals;
    const Clock::time_point before = Clock::now();
    ::raise(SIGTERM), ::raise(SIGTERM);
    const bool at_once = Clock::now() - before < Seconds(0.1);
    if (!at_once) continue;  // something else had the machine
    CHECK(signals.count() == 1);
    return;
  }
  FAIL("no two signals could be raised at once");
}

TEST_CASE("a signal ends a system call that waits") {
  Signals signals;
  const pid_t parent = ::getpid();
  const pid_t sender = ::fork();
  if (sender == 0) {
    ::kill(parent, SIGTERM);
    ::_exit(0);
  }
  CHECK(readable(signals.descriptor(), 20'000));
  CHECK(signals.count() == 1);
  ::waitpid(sender, nullptr, 0);
}

TEST_CASE("cores follow the affinity of this process") {
  cpu_set_t old;
  REQUIRE(::sched_getaffinity(0, sizeof old, &old) == 0);
  CHECK(cores() >= 1);
  cpu_set_t one;
  CPU_ZERO(&one);
  for (int cpu = 0; cpu < CPU_SETSIZE && CPU_COUNT(&one) == 0; ++cpu)
    if (CPU_ISSET(cpu, &old)) CPU_SET(cpu, &one);
  REQUIRE(::sched_setaffinity(0, sizeof one, &one) == 0);
  CHECK(cores() == 1);
  ::sched_setaffinity(0, sizeof old, &old);
}

TEST_CASE("the tightest of all enclosing cgroups limits cores and memory") {
  const Scratch root;
  root.put("proc/meminfo", "MemTotal:  8000000 kB\nMemAvailable:    4000000 kB\n");
  CHECK(memory_bytes(root.path) == 4'000'000u * 1024);
  root.put("proc/self/cgroup", "4:memory:/old\n0::/outer/inner\n");
  root.put("sys/fs/cgroup/cpu.max", "max 100000\n");
  root.put("sys/fs/cgroup/outer/inner/cpu.max", "max 100000\n");
  root.put("sys/fs/cgroup/outer/inner/memory.max", "max\n");
  const int unlimited = cores(root.path);
  CHECK(unlimited == cores(root.path / "nowhere"));
  root.put("sys/fs/cgroup/outer/cpu.max", "150000 100000\n");
  CHECK(cores(root.path) == 1);
  root.put("sys/fs/cgroup/outer/cpu.max", "10000 100000\n");
  CHECK(cores(root.path) == 1);
  CHECK(memory_bytes(root.path) == 4'000'000u * 1024);
  root.put("sys/fs/cgroup/outer/memory.max", "1000000\n");
  root.put("sys/fs/cgroup/outer/memory.current", "700000\n");
  root.put("sys/fs/cgroup/outer/memory.stat", "anon 600000\ninactive_file 50000\nactive_file 5\n");
  CHECK(memory_bytes(root.path) == 350'000);
}

TEST_CASE("memory and host name of this machine are known") {
  CHECK(memory_bytes() > 0);
  CHECK_FALSE(host_name().empty());
}

TEST_CASE("a socket folder is private, short, where the environment says, and removed") {
  const Scratch scratch;
  fs::path path;
  ::setenv("XDG_RUNTIME_DIR", scratch.path.c_str(), 1);
  {
    const SocketFolder folder;
    path = folder.path();
    CHECK(path.parent_path() == scratch.path);
    CHECK((fs::status(path).permissions() & fs::perms::all) == fs::perms::owner_all);
    std::ofstream(path / "socket") << "x";
  }
  CHECK_FALSE(fs::exists(path));
  ::setenv("XDG_RUNTIME_DIR", (scratch.path / std::string(100, 'x')).c_str(), 1);
  ::setenv("TMPDIR", (scratch.path / "missing").c_str(), 1);
  {
    const SocketFolder folder;
    CHECK(folder.path().parent_path() == "/tmp");
    CHECK(folder.path().string().size() <= 66);
  }
  ::unsetenv("XDG_RUNTIME_DIR");
  ::unsetenv("TMPDIR");
}

TEST_CASE("a socket folder whose owner was killed goes when the next is made, and no other does") {
  const Scratch scratch;
  ::setenv("XDG_RUNTIME_DIR", scratch.path.c_str(), 1);
  const pid_t owner = ::fork();
  if (owner == 0) {
    const SocketFolder folder;
    scratch.put("path", folder.path().string());
    ::kill(::getpid(), SIGKILL);
  }
  ::waitpid(owner, nullptr, 0);
  const fs::path stale = scratch.get("path");
  REQUIRE(fs::exists(stale));
  scratch.put("dt-strange/file", "somebody else's, who never held a lock");
  scratch.put("other/lock", "");
  const SocketFolder held;
  {
    const SocketFolder next;
    CHECK_FALSE(fs::exists(stale));
    CHECK(fs::exists(held.path()));
  }
  CHECK(fs::exists(held.path()));
  CHECK(fs::exists(scratch.path / "dt-strange/file"));
  CHECK(fs::exists(scratch.path / "other/lock"));
  ::unsetenv("XDG_RUNTIME_DIR");
}
