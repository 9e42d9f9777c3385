#pragma once
/// The server: owns a slice of the weights. What it is told by workers, by other servers and by the coordinator, and
/// what it does about it; one file a matter: server.cpp (its life and its doors), server_pushes.cpp (what workers push
/// and pull), server_updates.cpp (what comes of it), server_state.cpp (what is loaded and saved), server_rows.cpp
/// (where only touched rows travel), server_membership.cpp (when a worker is lost), server_joins.cpp (when one joins),
/// server_cut.cpp (consistent cuts where each rank goes on by itself), server_standby.cpp (where each slice is kept by
/// a second server).
///
/// One thread. Included by these files only.

#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "data/division.hpp"
#include "data/worklist.hpp"
#include "role/connections.hpp"
#include "role/council.hpp"
#include "role/cut_gate.hpp"
#include "role/data_doors.hpp"
#include "role/inbox.hpp"
#include "role/keep.hpp"
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
    Route route;                    ///< of its data connection, once it pulled
    std::uint64_t incarnation = 0;  ///< of the process that has the place, or is about to
    bool pulled = false, lost = false, left = false;
    bool coming = false;                   ///< lost as yet, but somebody is about to join
    bool joining = false;                  ///< takes part, and has not been released yet
    bool came_late = false;                ///< has left without having begun: its first release came too late for it
    sync::Clock since = 0;                 ///< took part from the end of this step on
    bool offered = false;                  ///< its complete push is with the policy, or on its way there
    sync::Clock taken = 0;                 ///< of the last push that the policy took, plus 1
    sync::Release gate;                    ///< what it was last released into
    std::uint64_t note = 0;                ///< a snapshot that it has yet to be told to add to
    std::vector<wire::Message> own_state;  ///< pieces that wait for its pull
    std::deque<Wanted> wanted;             ///< of steps whose push is not folded yet

    /// It takes part, and has done nothing yet that would be part of the run.
    bool has_not_begun() const { return joining || came_late; }
  };
  struct Due {
    bool evaluate = false, save = false, last = false;
  };
  /// What follows on an update that was applied, once the standby has it too.
  struct Outcome {
    std::vector<sync::Release> release;
    std::vector<int> refresh;
    Due due;
    std::uint64_t ordinal = 0;  ///< of the snapshot, if one is due
    bool stepped = false;
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
  void follow(Outcome& outcome);
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
  void await_load(int rank);
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
  void send_snapshot(const Due& due, std::uint64_t ordinal, std::vector<sync::Clock> clocks);
  void send_arena(std::size_t arena, std::uint64_t ordinal);

  // server_cut.cpp
  void take_cut_mark(const wire::Message& message);
  void proceed_with_cut();
  void leave_cuts(int rank);

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
  void log_changes(std::uint32_t epoch);
  void forget_pending(int lost);
  void settle_late(const wire::Message& message);
  void release_newly_needed(const Membership& membership);
  void offer_frozen_pushes();

  // server_standby.cpp: of a server that has one
  void meet_standby(const Start& start);
  void hear_standby();
  void keep(Outcome outcome);
  void send_kept_arena(std::size_t arena);
  Keep keep_of(const Outcome& outcome);
  void take_kept(const wire::Message& message);
  void go_on(Outcome outcome);
  void lose_standby();
  // of the standby
  void take_while_standing_by(wire::Message message, std::size_t door);
  void take_keep(const wire::Message& message);
  void take_keep_all(const wire::Message& message, std::size_t door);
  void replay_keep(const Keep& keep);
  void follow_policy();
  void note_releases(const Keep& keep);
  void take_over(const TakeOver& told);
  void take_over_trace(std::uint64_t known);
  void note_reached();
  // server_joins.cpp
  void expect(const Coming& coming);
  void freeze_when_due();
  void tell_frozen();
  void thaw();
  void admit(const Membership& membership);
  void seat(const Membership& membership);
  bool is_of_another_life(const wire::Header& header) const;
  std::vector<sync::Clock> clocks_to_save() const;
  std::vector<sync::Clock> resumable(std::vector<sync::Clock> clocks) const;
  std::vector<int> members_to_save(bool last) const;

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
  std::optional<wire::Socket> standby_;  ///< of a server that has one
  Connections connections_;              ///< to the other servers
  data::Division division_;
  std::optional<data::Worklist> worklist_;  ///< under quorum, of server 0
  DataDoors doors_;
  std::unique_ptr<sync::Policy> policy_;
  sync::Ledger ledger_;
  sync::Actions actions_;
  Replay replay_;
  CutGate cut_gate_;                       ///< where each rank goes on by itself
  std::deque<sync::Push> waiting_pushes_;  ///< that are whole, and not due in the replay yet
  std::deque<int> waiting_pulls_;
  std::deque<Decision> decisions_;   ///< under quorum: that a rank which has not pulled yet must still be told
  std::deque<wire::Message> early_;  ///< decisions of a membership that this server has not been told of
  std::deque<Membership> changes_;   ///< of membership: told of, but not by a decision
  std::vector<int> empty_;           ///< ranks that had nothing for the step in flight
  std::vector<sync::Event> trace_;   ///< not yet sent
  Clock::time_point traced_at_;
  std::vector<Inbox> inboxes_, kept_;
  std::vector<Member> members_;
  std::deque<Update> pending_;
  std::vector<float> row_values_;  ///< of rows that are about to be sent
  Route coordinator_;
  std::size_t loaded_ = 0, to_load_ = 0;
  sync::Release flight_;                     ///< of a gated policy: the step or block in flight, for whatever rank
  std::uint64_t evaluations_ = 0;            ///< of a policy that is not gated
  std::optional<std::uint64_t> save_after_;  ///< the step marked last; it may be taken back and come again
  bool frozen_ = false;
  bool settling_ = false;          ///< a loss that was told of: what becomes of the rank's pushes follows
  std::optional<Coming> coming_;   ///< for whom we are frozen, or shall be
  std::uint32_t loss_epoch_ = 0;   ///< of the newest loss
  bool over_ = false;              ///< server 0 decides nothing more
  std::optional<Outcome> unkept_;  ///< of the update that the standby has not answered for yet
  std::uint64_t kept_number_ = 0;  ///< of the last `keep_all`
  std::vector<sync::Push> taken_;  ///< by the policy since then
  std::size_t told_events_ = 0;    ///< of trace_, that the standby was told of
  std::size_t safe_events_ = 0;    ///< and that it has answered for
  bool standing_by_ = false;       ///< until told to take over
  bool took_over_ = false;
  bool reached_told_ = false;  ///< that all workers have come since
  struct Incoming {
    Version* version = nullptr;
    std::uint64_t number = 0;
    std::size_t pieces = 0;
  } incoming_;            ///< of an update, as it comes in
  bool adopted_ = false;  ///< what was loaded is older than what was kept
  std::optional<Keep> last_keep_;
  std::vector<sync::Event> kept_events_;   ///< of the trace, all of them
  std::vector<sync::Clock> told_release_;  ///< per rank: the last in these
  struct Early {
    wire::Message message;
    std::size_t door;
  };
  std::deque<Early> early_calls_;  ///< of workers that know already that the server is lost
  bool leaving_ = false, dismissed_ = false;
  double wait_seconds_ = 0, busy_seconds_ = 0, communicate_seconds_ = 0;
  Clock::time_point started_ = Clock::now();
  std::uint64_t updates_done_ = 0;
  struct Last {
    bool updated = false;
    Index rows_before = 0;
    bool save = false;
  };
  Last last_;            ///< step, in case it is taken back
  bool forked_ = false;  ///< one was, and what readers hold may be what it led to
  Tally tally_;
};

}  // namespace dtrain::role
