#include "data/contents.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#include <algorithm>
#include <cstdint>
#include <limits>
#include <memory>
#include <utility>

#include "base/error.hpp"
#include "base/file.hpp"

namespace dtrain::data {
namespace {

bool is_gzip(std::string_view bytes) { return bytes.size() >= 2 && bytes[0] == '\x1f' && bytes[1] == '\x8b'; }

/// The last four bytes hold the length, modulo 2^32 and of the last member only; deflate packs at most 1032 to 1.
std::size_t expected_size(std::string_view packed) {
  std::size_t size = 0;
  for (std::size_t i = 1; i <= 4 && packed.size() >= 18; ++i)
    size = size << 8 | static_cast<unsigned char>(packed[packed.size() - i]);
  return std::min(size, packed.size() * 1032) + 64;
}

uInt at_most_4_gib(std::size_t count) {
  return static_cast<uInt>(std::min<std::size_t>(count, std::numeric_limits<uInt>::max()));
}

class Inflater {
 public:
  Inflater(std::string_view packed, const std::string& file) : packed_(packed), file_(file) {
    if (inflateInit2(&stream_, 15 + 16) != Z_OK) fail(Kind::environment, "no memory to unpack {}", file);
  }
  ~Inflater() { inflateEnd(&stream_); }
  Inflater(const Inflater&) = delete;
  Inflater& operator=(const Inflater&) = delete;

  std::string unpacked() {
    out_.resize(expected_size(packed_));
    do {
      while (inflate_some() != Z_STREAM_END) {
        if (filled_ == out_.size()) {
          out_.resize(out_.size() + out_.size() / 2 + 65536);
        } else if (read_ == packed_.size()) {
          damaged("the gzip data is cut short");
        }
      }
      inflateReset(&stream_);
    } while (read_ < packed_.size());
    out_.resize(filled_);
    return std::move(out_);
  }

 private:
  int inflate_some() {
    stream_.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(packed_.data())) + read_;
    stream_.avail_in = at_most_4_gib(packed_.size() - read_);
    stream_.next_out = reinterpret_cast<Bytef*>(out_.data()) + filled_;
    stream_.avail_out = at_most_4_gib(out_.size() - filled_);
    const uInt given = stream_.avail_in, room = stream_.avail_out;
    const int code = inflate(&stream_, Z_NO_FLUSH);
    read_ += given - stream_.avail_in;
    filled_ += room - stream_.avail_out;
    if (code == Z_MEM_ERROR) fail(Kind::environment, "no memory to unpack {}", file_);
    if (code != Z_OK && code != Z_BUF_ERROR && code != Z_STREAM_END)
      damaged(stream_.msg != nullptr ? stream_.msg : "the gzip data is damaged");
    return code;
  }

  [[noreturn]] void damaged(std::string_view what) const {
    throw Error(Kind::data, {file_, 0, 0},
                fmt::format("{} at byte {} of {}; is the download complete?", what, read_, packed_.size()));
  }

  std::string_view packed_;
  const std::string& file_;
  z_stream stream_{};
  std::string out_;
  std::size_t read_ = 0, filled_ = 0;
};

bool is_zstd(std::string_view bytes) {
  if (bytes.size() < 4) return false;
  const bool frame = bytes.starts_with("\x28\xb5\x2f\xfd");
  const bool skipped = (static_cast<unsigned char>(bytes[0]) & 0xf0) == 0x50 && bytes.substr(1, 3) == "\x2a\x4d\x18";
  return frame || skipped;
}

std::string unzstd(std::string_view packed, const std::string& file) {
  const std::unique_ptr<ZSTD_DCtx, decltype(&ZSTD_freeDCtx)> context(ZSTD_createDCtx(), &ZSTD_freeDCtx);
  if (!context) fail(Kind::environment, "no memory to unpack {}", file);
  std::string out(std::max<std::size_t>(packed.size() * 4, 65536), '\0');
  ZSTD_inBuffer in{packed.data(), packed.size(), 0};
  std::size_t filled = 0, wanted = 1;
  while (in.pos < in.size || wanted != 0) {
    if (filled == out.size()) out.resize(out.size() * 2);
    ZSTD_outBuffer to{out.data(), out.size(), filled};
    const std::size_t read_before = in.pos;
    wanted = ZSTD_decompressStream(context.get(), &to, &in);
    const auto damaged = [&](std::string_view what) {
      throw Error(Kind::data, {file, 0, 0},
                  fmt::format("{} at byte {} of {}; is the download complete?", what, in.pos, in.size));
    };
    if (ZSTD_isError(wanted) != 0) damaged(ZSTD_getErrorName(wanted));
    if (in.pos == in.size && in.pos == read_before && to.pos == filled && to.pos < to.size && wanted != 0)
      damaged("the zstd data is cut short");
    filled = to.pos;
  }
  out.resize(filled);
  return out;
}

/// Maps a file that can be; pipes and the like are read.
Contents map_or_read(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  struct stat info {};
  const bool plain = fd >= 0 && ::fstat(fd, &info) == 0 && S_ISREG(info.st_mode) && info.st_size > 0;
  const std::size_t length = plain ? static_cast<std::size_t>(info.st_size) : 0;
  void* memory = plain ? ::mmap(nullptr, length, PROT_READ, MAP_PRIVATE, fd, 0) : MAP_FAILED;
  if (fd >= 0) ::close(fd);
  if (memory == MAP_FAILED) return Contents(read_file(path, Kind::data));
  std::shared_ptr<const void> owner(memory, [length](const void* m) { ::munmap(const_cast<void*>(m), length); });
  return {{static_cast<const char*>(memory), length}, std::move(owner)};
}

}  // namespace

Contents::Contents(std::string bytes) {
  const auto kept = std::make_shared<const std::string>(std::move(bytes));
  bytes_ = *kept;
  owner_ = kept;
}

std::string resolve(const job::Data& data, const std::string& path) { return (fs::path(data.dir) / path).string(); }

Contents read_raw(const std::string& path) { return map_or_read(path); }

Contents read_contents(const std::string& path) { return unpack(read_raw(path), path); }

bool is_packed(std::string_view bytes) { return is_gzip(bytes) || is_zstd(bytes); }

Contents unpack(Contents packed, const std::string& file) {
  if (is_gzip(packed.bytes())) return Contents(Inflater(packed.bytes(), file).unpacked());
  if (is_zstd(packed.bytes())) return Contents(unzstd(packed.bytes(), file));
  return packed;
}

}  // namespace dtrain::data
