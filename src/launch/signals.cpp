#include <sys/eventfd.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdint>
#include <ctime>

#include "base/error.hpp"
#include "launch/children.hpp"

namespace dtrain::launch {
namespace {

// A handler is given nothing but the signal's number: what it writes to must be found without an argument. This is the
// only state of the process that no object owns.
std::atomic<int> handler_descriptor{-1};
std::atomic<int> last_signal{0};
std::atomic<int> received{0};
std::atomic<std::int64_t> heard_at_ms{0};
static_assert(std::atomic<int>::is_always_lock_free && std::atomic<std::int64_t>::is_always_lock_free,
              "a handler may not wait for a lock");

/// timeout(1), among others, signals a process and then its group: what follows at once was meant once.
bool is_echo() {
  constexpr std::int64_t echo_ms = 100;
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  const std::int64_t ms = std::int64_t{now.tv_sec} * 1000 + now.tv_nsec / 1'000'000;
  if (received.load() > 0 && ms - heard_at_ms.load() < echo_ms) return true;
  heard_at_ms.store(ms);
  return false;
}

void note(int number) {
  const int saved = errno;
  if (is_echo()) return;
  last_signal.store(number);
  const std::uint64_t one = 1;
  [[maybe_unused]] const ssize_t written = ::write(handler_descriptor.load(), &one, sizeof one);
  if (received.fetch_add(1) == 1) ::alarm(1);
  errno = saved;
}

/// A second signal means at once, whatever is being waited for.
void end_now(int) { ::_exit(128 + last_signal.load()); }

}  // namespace

Signals::Signals() : fd_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  if (fd_ < 0) throw Error(Kind::environment, with_errno("cannot listen for signals", errno));
  int none = -1;
  if (!handler_descriptor.compare_exchange_strong(none, fd_)) {
    ::close(fd_);
    fail(Kind::internal, "signals are listened for twice");
  }
  last_signal.store(0);
  received.store(0);
  struct sigaction action {};
  action.sa_handler = note;
  ::sigaction(SIGINT, &action, &old_interrupt_);
  ::sigaction(SIGTERM, &action, &old_terminate_);
  action.sa_handler = end_now;
  ::sigaction(SIGALRM, &action, &old_alarm_);
}

Signals::~Signals() {
  ::alarm(0);
  ::sigaction(SIGALRM, &old_alarm_, nullptr);
  ::sigaction(SIGINT, &old_interrupt_, nullptr);
  ::sigaction(SIGTERM, &old_terminate_, nullptr);
  handler_descriptor.store(-1);
  ::close(fd_);
}

int Signals::count() {
  std::uint64_t more = 0;
  if (::read(fd_, &more, sizeof more) == sizeof more) count_ += static_cast<int>(more);
  return count_;
}

int Signals::last() const { return last_signal.load(); }

}  // namespace dtrain::launch
