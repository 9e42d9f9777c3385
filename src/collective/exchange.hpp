#pragma once
/// One rank's part in one all-reduce: its moves, driven by what arrives.
///
/// Never waits: it goes as far as what has come allows. Sums are made only where they are sent or finished, in one pass
/// over all that has come by then. What it sends, and to whom, is the Port's business. One thread.

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "collective/moves.hpp"
#include "math/fold.hpp"

namespace dtrain::collective {

/// What comes from a peer: a sum on its way, or a result.
struct Parcel {
  Range range = {};                    ///< as the sender says; of a sum of nobody: any
  const float* values = nullptr;       ///< of its range; nullptr: a sum of nobody
  float factor = 1;                    ///< that they are to be multiplied by
  std::uint32_t flags = 0;             ///< of all who had a part in it
  std::shared_ptr<const void> keeper;  ///< keeps the values where they are
};

/// How an exchange meets its peers and its owner. `flags` travel with every message; all ranks end with all flags.
class Port {
 public:
  virtual ~Port() = default;
  /// `sum`: of range's elements, times its factor; nullptr data: of nobody. It stays as it is until the exchange is
  /// done at every rank.
  virtual void send_sum(int to, const Range& range, const Share& sum, std::uint32_t flags) = 0;
  /// Every rank's part of the sum of a range that we own, in the order of the fold; none if nobody had anything. False:
  /// the result is not there yet, Exchange::finished() will tell; until then the shares stay.
  virtual bool finish(const Range& range, std::span<const Share> shares) = 0;
  virtual void send_result(int to, const Range& range, std::uint32_t flags) = 0;
  virtual void take_result(const Range& range, const Parcel& result) = 0;
};

class Exchange {
 public:
  /// `borders`: of the parts (moves.hpp).
  Exchange(Algorithm algorithm, int rank, int ranks, const std::vector<Index>& borders, Port& port);

  /// Our part is there. `own`: element 0 of the vector; what lies within the borders may be overwritten by sums.
  /// `factor`: what it is multiplied by; absent: we have nothing.
  void begin(float* own, std::optional<float> factor, std::uint32_t flags);
  /// From each peer in the order in which it sent; also before begin(). Throws std::invalid_argument if it is of
  /// another range than the one that is due from that peer.
  void receive(int from, Parcel parcel);
  /// After Port::finish() said false.
  void finished();
  /// Once done: ready for the next round, of which something may have come already.
  void reset();

  bool begun() const { return begun_; }
  bool done() const { return begun_ && next_ == moves_.size(); }
  /// Whom it waits for; -1: nobody.
  int waits_for() const;
  /// Of all ranks, once done.
  std::uint32_t flags() const { return flags_; }

 private:
  struct Arrived {
    int from;
    Range range;
    Parcel parcel;
  };
  void advance();
  bool take(const Move& move);
  bool finish(const Move& move);
  void gather_shares(const Range& range);
  Share sum_of(const Range& range);
  void forget(const Range& range);
  int rank_;
  bool in_rank_order_;
  std::vector<Move> moves_;
  Port& port_;
  std::size_t next_ = 0;
  std::vector<std::deque<Parcel>> waiting_;  ///< per peer
  std::vector<Arrived> sums_;                ///< taken, still needed
  std::vector<Share> shares_;
  float* own_ = nullptr;
  std::optional<float> factor_;
  std::uint32_t flags_ = 0;
  bool begun_ = false, held_ = false;
};

}  // namespace dtrain::collective
