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
  /// The oldest snapshot that is whole; its `state.facts` are the caller's to fill in.
  std::optional<Snapshot> take();

 private:
  struct Entry {
    std::vector<std::optional<Cut>> cuts;  ///< per server
    std::size_t pieces = 0;
    Arena weights;
    std::vector<Arena> moments;
  };
  Entry& entry(std::uint64_t ordinal);
  std::size_t pieces_of(bool save) const;
  const plan::Plan& plan_;
  std::map<std::uint64_t, Entry> entries_;
};

}  // namespace dtrain::role
