#pragma once
/// Snapshots of slices, put together to one of the whole model.

#include <deque>
#include <map>
#include <optional>

#include "role/aside.hpp"
#include "role/messages.hpp"
#include "wire/socket.hpp"

namespace dtrain::role {

class Assembly {
 public:
  explicit Assembly(const plan::Plan& plan);

  /// What a server says of its snapshot, or a worker of its own part in it. The numbers may come before or after.
  void add(int server, const Cut& cut);
  void add_own(int worker, const Cut& cut);
  /// No snapshot waits for the state of this worker any more.
  void lose(int worker);
  /// Snapshots that begin from now on do.
  void join(int worker);
  /// A piece of the numbers; false if it is none of this model's.
  bool add(const wire::Message& message);
  /// A snapshot that is whole, if there is one; its `state.facts` are the caller's to fill in.
  std::optional<Snapshot> take();

  /// A server takes back all updates after `step` (a clock that it had reached), and with them what it has sent of
  /// them: from now on only what it sends under `epoch` or later counts there.
  void take_back(int server, std::uint64_t step, std::uint32_t epoch);
  /// A server was lost and another goes on with its slice: what it sent counts where it is whole. Of the rest only what
  /// is sent under `epoch` or later does.
  void replace(int server, std::uint32_t epoch);
  /// The newest snapshots of which this server's part is here, by ordinal.
  std::vector<std::uint64_t> known(int server) const;

 private:
  /// What a worker adds of its own, where workers keep state: its weights and moments, or what its codec keeps back.
  struct Own {
    std::optional<std::uint64_t> clock;
    std::uint64_t updates = 0;
    std::vector<double> since;        ///< rows since its last exchange, and the sum of their losses; or Packer::rate()
    std::vector<std::size_t> pieces;  ///< by way of each server
    store::OwnState state;
  };
  struct Entry {
    std::vector<std::optional<Cut>> cuts;    ///< per server
    std::vector<std::size_t> pieces;         ///< per server
    std::vector<std::uint32_t> least_epoch;  ///< per server
    Arena weights;
    std::vector<Arena> moments;
    std::vector<Own> own;       ///< per worker; empty where they do not
    std::vector<bool> excused;  ///< per worker: lost before it could add its own
  };
  Entry& entry(std::uint64_t ordinal);
  bool whole(const Entry& entry) const;
  bool has_part(const Entry& entry, std::size_t server) const;
  bool has_own_part(const Own& own, std::size_t server) const;
  void forget_outdated(std::uint64_t ordinal);
  bool was_taken(std::uint64_t ordinal) const;
  bool has_own(const Entry& entry) const;
  bool whole(const Own& own) const;
  bool add_own_piece(const wire::Message& message);
  store::OwnState fresh_own(const Arena& weights) const;
  Snapshot snapshot_of(Entry entry);
  void average_own(Entry& entry) const;
  const plan::Plan& plan_;
  bool workers_keep_;
  std::vector<bool> lost_;                  ///< per worker
  std::vector<std::uint32_t> least_epoch_;  ///< per server, of snapshots to come
  std::map<std::uint64_t, Entry> entries_;
  std::deque<std::uint64_t> taken_;  ///< the newest, where servers have standbys
};

}  // namespace dtrain::role
