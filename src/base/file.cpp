#include "base/file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "base/hash.hpp"

namespace dtrain {
namespace {

/// Owns a descriptor for the length of a scope.
class Descriptor {
 public:
  Descriptor(const fs::path& path, int flags, mode_t mode = 0644)
      : fd_(::open(path.c_str(), flags | O_CLOEXEC, mode)) {}
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return fd_; }
  bool opened() const { return fd_ >= 0; }
  bool close() {
    const int fd = fd_;
    fd_ = -1;
    return ::close(fd) == 0;
  }

 private:
  int fd_;
};

[[noreturn]] void fail_io(Kind kind, std::string_view doing, const fs::path& path, int code) {
  throw Error(kind, with_errno(fmt::format("cannot {} {}", doing, path.string()), code));
}

bool write_all(int fd, std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(fd, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return false;
    bytes = bytes.subspan(static_cast<std::size_t>(written));
  }
  return true;
}

}  // namespace

std::string read_file(const fs::path& path, Kind kind) {
  Descriptor file(path, O_RDONLY);
  if (!file.opened()) fail_io(kind, "open", path, errno);
  struct stat info {};
  if (::fstat(file.get(), &info) != 0) fail_io(kind, "read", path, errno);
  if (S_ISDIR(info.st_mode)) fail_io(kind, "read", path, EISDIR);
  std::string text(static_cast<std::size_t>(info.st_size), '\0');
  std::size_t filled = 0;
  for (;;) {
    if (filled == text.size()) text.resize(text.size() + 65536);  // a pipe, or a file that grew
    const ssize_t got = ::read(file.get(), text.data() + filled, text.size() - filled);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) fail_io(kind, "read", path, errno);
    if (got == 0) break;
    filled += static_cast<std::size_t>(got);
  }
  text.resize(filled);
  return text;
}

void write_file(const fs::path& path, std::span<const std::byte> bytes) {
  Descriptor file(path, O_WRONLY | O_CREAT | O_TRUNC);
  if (!file.opened()) fail_io(Kind::environment, "create", path, errno);
  if (!write_all(file.get(), bytes) || ::fsync(file.get()) != 0 || !file.close()) {
    const int code = errno;
    ::unlink(path.c_str());
    fail_io(Kind::environment, "write", path, code);
  }
}

void write_file(const fs::path& path, std::string_view text) { write_file(path, bytes_of(text)); }

void replace_file(const fs::path& path, std::string_view text) {
  fs::path aside = path;
  aside += ".part";
  write_file(aside, text);
  if (::rename(aside.c_str(), path.c_str()) != 0) fail_io(Kind::environment, "rename to", path, errno);
  sync_folder(path.has_parent_path() ? path.parent_path() : fs::path("."));
}

void replace_file(const fs::path& path,
                  const std::function<void(const std::function<void(std::span<const std::byte>)>& put)>& write) {
  fs::path aside = path;
  aside += fmt::format(".{}.part", hex(entropy()));
  Descriptor file(aside, O_WRONLY | O_CREAT | O_EXCL);
  if (!file.opened()) fail_io(Kind::environment, "create", aside, errno);
  bool sound = true;
  write([&](std::span<const std::byte> bytes) { sound = sound && write_all(file.get(), bytes); });
  if (!sound || ::fsync(file.get()) != 0 || !file.close() || ::rename(aside.c_str(), path.c_str()) != 0) {
    const int code = errno;
    ::unlink(aside.c_str());
    fail_io(Kind::environment, "write", path, code);
  }
  sync_folder(path.has_parent_path() ? path.parent_path() : fs::path("."));
}

void make_folder(const fs::path& path) {
  std::error_code code;
  fs::create_directories(path, code);
  if (code) fail_io(Kind::environment, "make the folder", path, code.value());
}

void sync_folder(const fs::path& path) {
  Descriptor folder(path, O_RDONLY | O_DIRECTORY);
  if (!folder.opened() || ::fsync(folder.get()) != 0) fail_io(Kind::environment, "sync the folder", path, errno);
}

}  // namespace dtrain
