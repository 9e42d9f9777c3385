#pragma once
/// The server: owns a slice of the weights. What it is told by workers, by other servers and by the coordinator, and
/// what it does about it; in six files: server.cpp (its life and its doors), server_pushes.cpp (what workers push
/// and pull), server_updates.cpp (what comes of it), server_state.cpp (what is loaded and saved), server_rows.cpp
/// (where only touched rows travel), server_membership.cpp (when a worker is lost).
///
/// One thread. Included by these files only.

#include <array>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "data/division.hpp"
#include "data/worklist.hpp"
#include "role/connections.hpp"
#include "role/council.hpp"
#include "role/data_doors.hpp"
#include "role/inbox.hpp"
#include "role/owner.hpp"
#include "role/replay.hpp"
#include "role/squares.hpp"
#include "sync/ledger.hpp"
#include "sync/policy.hpp"

namespace dtrain::role {

class Server {
 public:
  Server(Link& link, const Welcome& welcome, plan::Plan plan);

  const std::vector<std::string>& endpoints() const { return doors_.endpoints(); }
  /// `recording`: whose order of events this run repeats; empty: none.
  void start(const Start& start, const std::vector<sync::Event>& recording);
  void serve();
  void say_goodbye();

 private:
  /// An update that the policy has ordered and that may still wait for other servers' sums of squares.
  struct Update {
    std::vector<int> ranks;              ///< whose pushes are folded
    std::vector<sync::Release> release;  ///< who goes on afterwards
    std::vector<int> refresh;            ///< who gets the weights too
    std::vector<Contribution> contributions;
    std::uint64_t rows = 0;
    sync::Clock clock = 0;  ///< of the step, or of the push
    bool save = false;      ///< a checkpoint was asked for
    UpdateKey key;
  };
  /// Who is answered where: by the data socket that it came by, under its identity there.
  struct Route {
    std::size_t door = 0;
    std::string peer;
  };
  /// Rows of the first matrix that a step of a worker touches.
  struct Wanted {
    sync::Clock clock;
    std::vector<std::uint32_t> rows;
  };
  struct Member {
    Route route;  ///< of its data connection, once it pulled
    bool pulled = false, lost = false, left = false;
    bool offered = false;                  ///< its complete push is with the policy, or on its way there
    sync::Release gate;                    ///< what it was last released into
    std::uint64_t note = 0;                ///< a snapshot that it has yet to be told to add to
    std::vector<wire::Message> own_state;  ///< pieces that wait for its pull
    std::deque<Wanted> wanted;             ///< of steps whose push is not folded yet
  };
  struct Due {
    bool evaluate = false, save = false, last = false, marked = false;
  };

  // server.cpp
  void meet_others(const Start& start);
  void pump(int timeout_ms);
  void take(wire::Message message, std::size_t door);
  void refuse(const wire::Header& header);
  void take_leave(const wire::Message& message);
  void take_mark(const wire::Message& message);
  void take_squares(const wire::Message& message);
  void obey(const wire::Message& message);
  bool settled() const;
  bool all_gone() const;
  void flush_trace();
  void tell_over();

  // server_pushes.cpp
  void take_push(wire::Message message);
  void note_late(int rank, sync::Clock clock);
  void take_pull(const wire::Message& message, std::size_t door);
  void take_arrived(const wire::Message& message);
  void take_decided(wire::Message message);
  void arrived(int rank);
  void proceed();
  bool proceed_one(const sync::Event& due);
  sync::Verdict offer(const sync::Push& push);
  void answer_pull(int rank);
  sync::Push push_of(int rank) const;

  // server_updates.cpp
  void act(const sync::Actions& actions);
  void begin(Update update);
  void advance();
  void finish(Update& update, float factor);
  void ask_own_states(std::uint64_t ordinal);
  void apply(Update& update, float factor, Index after);
  std::optional<float> clip_factor(const Update& update) const;
  Index applied_after(const Update& update);
  Due due_after(const Update& update, Index before, Index after) const;
  void forget_pushes(const Update& update);
  void tell_workers(const Update& update);
  void tell_decision(const Member& member, const Decision& decision);
  void release(const std::vector<sync::Release>& releases, Version& version);
  void let_go(const std::vector<sync::Release>& releases, Version& version);
  /// What readers are sent: weights, or what leads to them from those that they have.
  enum class Form { weights, change };
  void send_release(const std::vector<int>& ranks, Version& version, Form form);
  void send_weights(const std::vector<int>& readers, Version& version, Form form);
  void send_piece(int rank, std::size_t arena, std::size_t piece, Version& version, Form form);
  void send_header(int rank);
  wire::Header weights_header(const Member& member) const;
  bool takes_part(int rank, sync::Clock clock);
  bool clips() const { return plan_.job.train.clip_norm > 0 && !traits_.weights; }

  // server_state.cpp
  void take_load(wire::Message message, std::size_t door);
  void take_own_load(wire::Message message);
  void take_snapshot(wire::Message message);
  void hand_own_state(int rank);
  std::uint64_t ordinal_of(const Due& due);
  void send_snapshot(const Due& due, std::uint64_t ordinal);
  void send_arena(std::size_t arena, std::uint64_t ordinal);

  // server_rows.cpp
  bool by_rows() const { return plan_.sparse == plan::Sparse::rows; }
  Index row_cols() const { return plan_.layout.tensors.front().cols; }
  void take_touched(const wire::Message& message);
  std::span<const std::uint32_t> wanted_rows(int rank, sync::Clock clock) const;
  void send_copy(int rank, wire::Header header, const plan::Piece& piece, const Version& version);
  void gather_rows(std::span<const std::uint32_t> rows, const plan::Piece& piece, const Version& version);

  // server_membership.cpp
  void freeze(int lost);
  void change_membership(const Membership& membership);
  void settle_step(const Membership& membership, bool undo);
  void take_back();
  void follow_membership(const Membership& membership);
  void log_losses(std::uint32_t epoch);
  void forget_pending(int lost);
  void settle_late(const wire::Message& message);
  void release_newly_needed(const Membership& membership);
  void offer_frozen_pushes();

  Link& link_;
  plan::Plan plan_;
  int rank_;
  sync::Traits traits_;
  bool decided_;  ///< by server 0 for all
  Owner owner_;
  std::size_t arenas_;                  ///< that are exchanged
  std::optional<Unpacker> unpacker_;    ///< of pushes that are packed
  std::deque<wire::Socket> others_;     ///< servers
  std::deque<wire::Socket> elsewhere_;  ///< of other parts of a split network, where the whole gradient is clipped
  Squares squares_;
  Council council_;
  Connections connections_;  ///< to the other servers
  data::Division division_;
  std::optional<data::Worklist> worklist_;  ///< under quorum, of server 0
  DataDoors doors_;
  std::unique_ptr<sync::Policy> policy_;
  sync::Ledger ledger_;
  sync::Actions actions_;
  Replay replay_;
  std::deque<sync::Push> waiting_pushes_;  ///< that are whole, and not due in the replay yet
  std::deque<int> waiting_pulls_;
  std::deque<Decision> decisions_;   ///< under quorum: that a rank which has not pulled yet must still be told
  std::deque<wire::Message> early_;  ///< decisions of a membership that this server has not been told of
  std::deque<Membership> losses_;    ///< told of, but not by a decision
  std::vector<int> empty_;           ///< ranks that had nothing for the step in flight
  std::vector<sync::Event> trace_;   ///< not yet sent
  Clock::time_point traced_at_;
  std::vector<Inbox> inboxes_, kept_;
  std::vector<Member> members_;
  std::deque<Update> pending_;
  std::vector<float> row_values_;  ///< of rows that are about to be sent
  Route coordinator_;
  std::size_t loaded_ = 0, to_load_ = 0;
  sync::Release flight_;                      ///< of a gated policy: the step or block in flight, for whatever rank
  std::array<std::uint64_t, 8> snapshots_{};  ///< by kind
  std::optional<std::uint64_t> save_after_;   ///< the step marked last; it may be taken back and come again
  bool frozen_ = false;
  bool over_ = false;  ///< server 0 decides nothing more
  bool leaving_ = false, dismissed_ = false;
  double wait_seconds_ = 0, busy_seconds_ = 0, communicate_seconds_ = 0;
  Clock::time_point started_ = Clock::now();
  std::uint64_t updates_done_ = 0;
  struct Last {
    bool updated = false;
    Index rows_before = 0;
  };
  Last last_;            ///< step, in case it is taken back
  bool forked_ = false;  ///< one was, and what readers hold may be what it led to
  Tally tally_;
};

}  // namespace dtrain::role
