#pragma once
/// Memory that roles of one host see together: floats stay where they are, and a message says where.
///
/// A block is a memfd (memfd_create(2)), mapped here and, its floats for reading only, by whoever is told of it. It is
/// found by way of /proc/PID/fd, so it has no name that could be left behind, and needs no room in /dev/shm. The page
/// before the floats holds the block's number and how many messages about it have not been let go yet: until there are
/// none its owner leaves it as it is. Whoever dies while reading leaves that count up: the block is then never free.
/// Peers must be trusted: this is for roles of one run and user, behind sockets that only they can reach.
///
/// One instance a role, used by its one thread; arenas die on that thread too.

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <variant>

#include "math/matrix.hpp"
#include "wire/frame.hpp"

namespace dtrain::wire {

/// A right to read floats of another role (or of our own): given back when this dies.
class Reading {
 public:
  Reading() = default;
  Reading(std::span<const float> values, std::atomic<std::uint32_t>* readers) : values_(values), readers_(readers) {}
  Reading(Reading&& other) noexcept : values_(other.values_), readers_(std::exchange(other.readers_, nullptr)) {}
  Reading& operator=(Reading&& other) noexcept {
    std::swap(values_, other.values_);
    std::swap(readers_, other.readers_);
    return *this;
  }
  ~Reading() {
    if (readers_ != nullptr) readers_->fetch_sub(1, std::memory_order_release);
  }
  explicit operator bool() const { return readers_ != nullptr; }
  std::span<const float> values() const { return values_; }

 private:
  std::span<const float> values_;
  std::atomic<std::uint32_t>* readers_ = nullptr;
};

class SharedMemory {
 public:
  SharedMemory();
  ~SharedMemory();
  SharedMemory(const SharedMemory&) = delete;
  SharedMemory& operator=(const SharedMemory&) = delete;

  /// Whether this machine lets one process map what another one has: a try with ourselves. Why not, or nothing.
  static std::optional<std::string> obstacle();

  /// Zeroed floats that others can map. Throws Error(Kind::environment) if there is no memory for them.
  Arena arena(Index count);

  /// Where these floats lie, if in an arena of this instance; nullptr in `readers` never.
  struct Location {
    std::uint64_t block = 0, place = 0, at = 0;
    std::atomic<std::uint32_t>* readers = nullptr;
  };
  std::optional<Location> locate(std::span<const float> values) const;

  /// The floats that a header speaks of, for whom they were counted when it was sent. Refuses a block that cannot be
  /// found or is not what the header says.
  std::variant<Reading, Refusal> read(const Header& header);

 private:
  class Block;
  class Mapping;
  struct Registry;
  std::shared_ptr<Registry> blocks_;
  std::map<std::uint64_t, std::unique_ptr<Mapping>> mappings_;  ///< by number
};

}  // namespace dtrain::wire
