#include "wire/shared.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <string>

#include <fmt/format.h>

#include "base/error.hpp"
#include "base/hash.hpp"

namespace dtrain::wire {
namespace {

constexpr std::size_t page = 4096;
constexpr int seals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;  // nobody can make another's mapping end early

/// The page before the floats.
struct Front {
  std::uint64_t number;
  std::atomic<std::uint32_t> readers;
  static_assert(std::atomic<std::uint32_t>::is_always_lock_free);
};

[[noreturn]] void fail_shared(const char* what, std::size_t bytes) {
  fail(Kind::environment, "cannot {} {} bytes of shared memory: {}; topology.transport: ipc does without it", what,
       bytes, std::strerror(errno));
}

/// Bytes that the host could give without ending processes; all there are, if it does not say.
std::size_t available_bytes() {
  std::ifstream facts("/proc/meminfo");
  for (std::string line; std::getline(facts, line);)
    if (line.starts_with("MemAvailable:")) return 1024 * std::strtoull(line.c_str() + 13, nullptr, 10);
  return SIZE_MAX;
}

/// Takes room for a file now: running out of it later would end the process. The kernel would end other processes too
/// rather than refuse, so what is plainly not there is not asked for. Returns an errno.
int take_room(int descriptor, std::size_t bytes) {
  if (bytes > available_bytes()) return ENOMEM;
  return ::posix_fallocate(descriptor, 0, static_cast<off_t>(bytes));
}

}  // namespace

/// Our own blocks, by the address of their floats.
struct SharedMemory::Registry {
  std::map<const float*, const Block*> by_address;
};

class SharedMemory::Block {
 public:
  Block(std::size_t floats, std::shared_ptr<Registry> registry) : floats_(floats), registry_(std::move(registry)) {
    descriptor_ = ::memfd_create("dtrain", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (descriptor_ < 0) fail_shared("have", bytes());
    if (const int error = take_room(descriptor_, bytes()); error != 0) {
      ::close(descriptor_);
      errno = error;
      fail_shared("have", bytes());
    }
    ::fcntl(descriptor_, F_ADD_SEALS, seals);
    void* memory = ::mmap(nullptr, bytes(), PROT_READ | PROT_WRITE, MAP_SHARED, descriptor_, 0);
    if (memory == MAP_FAILED) {
      ::close(descriptor_);
      fail_shared("map", bytes());
    }
    front_ = static_cast<Front*>(memory);
    front_->number = entropy() | 1;
    registry_->by_address[data()] = this;
  }
  ~Block() {
    registry_->by_address.erase(data());
    ::munmap(front_, bytes());
    ::close(descriptor_);
  }
  Block(const Block&) = delete;
  Block& operator=(const Block&) = delete;

  float* data() const { return reinterpret_cast<float*>(reinterpret_cast<std::byte*>(front_) + page); }
  std::size_t floats() const { return floats_; }
  Location location(const float* at) const {
    const std::uint64_t place = static_cast<std::uint64_t>(::getpid()) << 32 | static_cast<std::uint32_t>(descriptor_);
    return {front_->number, place, static_cast<std::uint64_t>(at - data()), &front_->readers};
  }

 private:
  std::size_t bytes() const { return page + floats_ * sizeof(float); }
  std::size_t floats_;
  std::shared_ptr<Registry> registry_;
  int descriptor_ = -1;
  Front* front_ = nullptr;
};

/// Another role's block: its front page to count on, its floats to read.
class SharedMemory::Mapping {
 public:
  static std::variant<std::unique_ptr<Mapping>, Refusal> of(const Header& header) {
    const std::string path = fmt::format("/proc/{}/fd/{}", header.place >> 32, header.place & 0xffffffff);
    const int descriptor = ::open(path.c_str(), O_RDWR | O_CLOEXEC);
    if (descriptor < 0)
      return Refusal{fmt::format("the sender's memory {} cannot be opened: {}", path, std::strerror(errno))};
    std::unique_ptr<Mapping> mapping(new Mapping(descriptor));
    ::close(descriptor);
    if (mapping->front_ == nullptr) return Refusal{fmt::format("{} is no shared memory", path)};
    if (mapping->front_->number != header.block) return Refusal{fmt::format("{} is another block", path)};
    return mapping;
  }
  ~Mapping() {
    if (front_ != nullptr) ::munmap(front_, page);
    if (floats_ != nullptr) ::munmap(const_cast<float*>(floats_), count_ * sizeof(float));
  }
  Mapping(const Mapping&) = delete;
  Mapping& operator=(const Mapping&) = delete;

  std::variant<Reading, Refusal> read(std::uint64_t at, std::uint64_t count) {
    if (at > count_ || count > count_ - at)
      return Refusal{fmt::format("{} floats at {} are beyond a block of {}", count, at, count_)};
    return Reading({floats_ + at, count}, &front_->readers);
  }

 private:
  explicit Mapping(int descriptor) {
    struct stat status {};
    const bool sealed = (::fcntl(descriptor, F_GET_SEALS) & seals) == seals;
    if (!sealed || ::fstat(descriptor, &status) != 0 || status.st_size < static_cast<off_t>(page)) return;
    void* front = ::mmap(nullptr, page, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0);
    if (front == MAP_FAILED) return;
    front_ = static_cast<Front*>(front);
    const std::size_t bytes = static_cast<std::size_t>(status.st_size) - page;
    if (bytes == 0) return;
    const void* floats = ::mmap(nullptr, bytes, PROT_READ, MAP_SHARED | MAP_POPULATE, descriptor, page);
    if (floats == MAP_FAILED) return;
    floats_ = static_cast<const float*>(floats);
    count_ = bytes / sizeof(float);
  }
  Front* front_ = nullptr;
  const float* floats_ = nullptr;
  std::size_t count_ = 0;
};

SharedMemory::SharedMemory() : blocks_(std::make_shared<Registry>()) {}
SharedMemory::~SharedMemory() = default;

std::optional<std::string> SharedMemory::obstacle() {
  try {
    SharedMemory ours, theirs;
    Arena arena = ours.arena(1);
    const auto lies = ours.locate(arena.span());
    Header header;
    header.block = lies->block, header.place = lies->place, header.at = lies->at;
    header.count = 1;
    lies->readers->fetch_add(1, std::memory_order_relaxed);
    const auto read = theirs.read(header);
    if (const auto* refusal = std::get_if<Refusal>(&read)) return refusal->why;
    return std::nullopt;
  } catch (const Error& error) {
    return error.what();
  }
}

Arena SharedMemory::arena(Index count) {
  auto block = std::make_shared<Block>(static_cast<std::size_t>(count), blocks_);
  float* data = block->data();
  return {data, count, std::move(block)};
}

std::optional<SharedMemory::Location> SharedMemory::locate(std::span<const float> values) const {
  auto after = blocks_->by_address.upper_bound(values.data());
  if (after == blocks_->by_address.begin()) return std::nullopt;
  const Block& block = *std::prev(after)->second;
  const auto at = static_cast<std::size_t>(values.data() - block.data());
  if (at > block.floats() || values.size() > block.floats() - at) return std::nullopt;
  return block.location(values.data());
}

std::variant<Reading, Refusal> SharedMemory::read(const Header& header) {
  auto found = mappings_.find(header.block);
  if (found == mappings_.end()) {
    auto mapped = Mapping::of(header);
    if (auto* refusal = std::get_if<Refusal>(&mapped)) return std::move(*refusal);
    found = mappings_.emplace(header.block, std::get<0>(std::move(mapped))).first;
  }
  return found->second->read(header.at, header.count);
}

}  // namespace dtrain::wire
