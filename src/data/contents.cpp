#include "data/contents.hpp"

#include <zlib.h>

#include <algorithm>
#include <cstdint>
#include <limits>

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

}  // namespace

std::string resolve(const job::Data& data, const std::string& path) { return (fs::path(data.dir) / path).string(); }

std::string read_contents(const std::string& path) { return unpack(read_file(path, Kind::data), path); }

std::string unpack(std::string packed, const std::string& file) {
  if (!is_gzip(packed)) return packed;
  return Inflater(packed, file).unpacked();
}

}  // namespace dtrain::data
