#pragma once
/// Snapshots of slices, put together to one of the whole model.

#include <map>
#include <optional>

#include "role/aside.hpp"
#include "role/messages.hpp"
#include "wire/socket.hpp"

namespace dtrain::role {

class Assembly {
 public:
  explicit Assembly(const plan::Plan& plan) : plan_(plan) {}

  /// What a server says of its snapshot. The numbers may come before or after.
  void add(int server, const Cut& cut);
  /// A piece of the numbers; false if it is none of this model's.
  bool add(const wire::Message& message);
  /// A snapshot that is whole, if there is one; its `state.facts` are the caller's to fill in.
  std::optional<Snapshot> take();

  /// A server takes back all updates after `step` (a clock that it had reached), and with them what it has sent of
  /// them: from now on only what it sends under `epoch` or later counts there.
  void take_back(int server, std::uint64_t step, std::uint32_t epoch);

 private:
  struct Entry {
    std::vector<std::optional<Cut>> cuts;    ///< per server
    std::vector<std::size_t> pieces;         ///< per server
    std::vector<std::uint32_t> least_epoch;  ///< per server
    Arena weights;
    std::vector<Arena> moments;
  };
  Entry& entry(std::uint64_t ordinal);
  bool whole(const Entry& entry) const;
  const plan::Plan& plan_;
  std::map<std::uint64_t, Entry> entries_;
};

}  // namespace dtrain::role
