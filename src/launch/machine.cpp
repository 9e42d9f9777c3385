#include <fcntl.h>
#include <sched.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <fstream>
#include <limits>

#include "base/error.hpp"
#include "base/text.hpp"
#include "launch/children.hpp"

namespace dtrain::launch {
namespace {

namespace fs = std::filesystem;

/// Of a socket path's 107 bytes, what the folder may take.
constexpr std::size_t longest_folder = 66;

/// "" if it cannot be read: these files come and go with the kernel's set-up.
std::string text_of(const fs::path& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

/// This process's cgroup (version 2) and all above it, innermost first: each may set a limit.
std::vector<fs::path> cgroups(const fs::path& root) {
  std::vector<fs::path> folders;
  const fs::path top = root / "sys/fs/cgroup";
  for (const auto& line : split(text_of(root / "proc/self/cgroup"), '\n')) {
    if (line.rfind("0::/", 0) != 0) continue;
    for (fs::path inner = fs::path(line.substr(3)).relative_path(); !inner.empty(); inner = inner.parent_path())
      folders.push_back(top / inner);
  }
  folders.push_back(top);
  return folders;
}

/// The number after `key` in lines of "key value"; 0 if there is none.
std::int64_t value_of(const std::string& text, std::string_view key) {
  for (const auto& line : split(text, '\n')) {
    if (line.rfind(key, 0) != 0) continue;
    const auto rest = trim(std::string_view(line).substr(key.size()));
    return parse_integer(rest.substr(0, rest.find(' '))).value_or(0);
  }
  return 0;
}

/// "200000 100000": 200 ms of every 100 ms.
int quota_cores(const std::string& cpu_max) {
  const auto parts = split(trim(cpu_max), ' ');
  const auto quota = parse_integer(parts.front());
  const auto period = parse_integer(parts.back());
  if (parts.size() != 2 || !quota || !period || *period <= 0) return std::numeric_limits<int>::max();
  return static_cast<int>(std::clamp<std::int64_t>(*quota / *period, 1, std::numeric_limits<int>::max()));
}

int affinity_cores() {
  for (int possible = 1024; possible <= 1 << 20; possible *= 2) {
    cpu_set_t* set = CPU_ALLOC(possible);
    const std::size_t size = CPU_ALLOC_SIZE(possible);
    const bool known = ::sched_getaffinity(0, size, set) == 0;
    const int count = known ? CPU_COUNT_S(size, set) : 0;
    CPU_FREE(set);
    if (known) return count;
    if (errno != EINVAL) break;  // EINVAL: the kernel's set is larger
  }
  return 1;
}

/// What a cgroup's limit leaves; file pages that were not used lately can be dropped.
std::int64_t memory_left(const fs::path& cgroup) {
  const auto limit = parse_integer(trim(text_of(cgroup / "memory.max")));
  if (!limit) return std::numeric_limits<std::int64_t>::max();
  const auto used = parse_integer(trim(text_of(cgroup / "memory.current"))).value_or(0);
  return std::max<std::int64_t>(0, *limit - used + value_of(text_of(cgroup / "memory.stat"), "inactive_file"));
}

/// In a socket folder: locked as long as its owner lives.
constexpr const char* lock_name = "lock";

/// Whoever finds the file finds it locked: it gets its name afterwards. -1 if there can be none; the folder is then
/// left alone by all.
int lock_folder(const fs::path& folder) {
  const fs::path fresh = folder / "lock-";
  const int fd = ::open(fresh.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (fd >= 0 && ::flock(fd, LOCK_EX | LOCK_NB) == 0 && ::rename(fresh.c_str(), (folder / lock_name).c_str()) == 0)
    return fd;
  if (fd >= 0) ::close(fd);
  return -1;
}

/// Whether it is ours, and its owner held a lock that nobody holds any more.
bool is_stale(const fs::path& folder) {
  struct stat info {};
  if (::lstat(folder.c_str(), &info) != 0 || !S_ISDIR(info.st_mode) || info.st_uid != ::geteuid()) return false;
  const int fd = ::open((folder / lock_name).c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW);
  if (fd < 0) return false;
  const bool free = ::flock(fd, LOCK_EX | LOCK_NB) == 0;
  ::close(fd);
  return free;
}

/// What runs left behind that were killed.
void remove_stale_folders(const fs::path& base) {
  std::error_code ignored;
  for (auto entry = fs::directory_iterator(base, ignored); entry != fs::directory_iterator(); entry.increment(ignored))
    if (entry->path().filename().string().starts_with("dt-") && is_stale(entry->path()))
      fs::remove_all(entry->path(), ignored);
}

}  // namespace

int cores(const fs::path& root) {
  int count = affinity_cores();
  for (const auto& cgroup : cgroups(root)) count = std::min(count, quota_cores(text_of(cgroup / "cpu.max")));
  return std::max(1, count);
}

std::size_t memory_bytes(const fs::path& root) {
  std::int64_t left = value_of(text_of(root / "proc/meminfo"), "MemAvailable:") * 1024;
  for (const auto& cgroup : cgroups(root)) left = std::min(left, memory_left(cgroup));
  return static_cast<std::size_t>(left);
}

std::string host_name() {
  char name[256] = {};
  return ::gethostname(name, sizeof name - 1) == 0 ? name : "unknown";
}

DescriptorLimit raise_descriptor_limit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return {};
  const rlim_t before = limit.rlim_cur;
  limit.rlim_cur = limit.rlim_max;
  if (::setrlimit(RLIMIT_NOFILE, &limit) != 0) limit.rlim_cur = before;
  return {before, limit.rlim_cur};
}

SocketFolder::SocketFolder() {
  const auto variable = [](const char* name) {
    const char* value = std::getenv(name);
    return std::string(value != nullptr ? value : "");
  };
  int code = ENAMETOOLONG;
  for (const std::string& base : {variable("XDG_RUNTIME_DIR"), variable("TMPDIR"), std::string("/tmp")}) {
    std::string folder = base + "/dt-XXXXXX";
    if (base.empty() || base.front() != '/' || folder.size() > longest_folder) continue;
    if (::mkdtemp(folder.data()) != nullptr) {
      path_ = folder;
      lock_ = lock_folder(path_);
      remove_stale_folders(base);
      return;
    }
    code = errno;
  }
  throw Error(Kind::environment, with_errno("cannot make a folder for sockets (XDG_RUNTIME_DIR, TMPDIR, /tmp)", code));
}

SocketFolder::~SocketFolder() {
  std::error_code ignored;
  fs::remove_all(path_, ignored);
  if (lock_ >= 0) ::close(lock_);
}

}  // namespace dtrain::launch
