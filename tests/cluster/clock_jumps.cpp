/// To be preloaded: the time of day jumps by hours, forth and back, with every look at it. Other clocks go on as they
/// do.

#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

#include <atomic>
#include <ctime>

namespace {

timespec jumped() {
  static std::atomic<unsigned> looks{0};
  timespec now{};
  ::syscall(SYS_clock_gettime, CLOCK_REALTIME, &now);
  now.tv_sec += (static_cast<long>(looks++ * 7 % 11) - 5) * 3600;
  return now;
}

}  // namespace

extern "C" {

int clock_gettime(clockid_t clock, timespec* now) noexcept {
  if (clock != CLOCK_REALTIME && clock != CLOCK_REALTIME_COARSE)
    return static_cast<int>(::syscall(SYS_clock_gettime, clock, now));
  *now = jumped();
  return 0;
}

int gettimeofday(timeval* now, void* /*zone*/) noexcept {
  const timespec at = jumped();
  *now = {at.tv_sec, at.tv_nsec / 1000};
  return 0;
}

time_t time(time_t* now) noexcept {
  const timespec at = jumped();
  if (now != nullptr) *now = at.tv_sec;
  return at.tv_sec;
}
}
