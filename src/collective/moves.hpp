#pragma once
/// Who sends what to whom, and in which order: all-reduce algorithms as lists of moves.
///
/// A vector of n elements that every rank has is summed over all ranks; somebody makes a result of each part of the sum
/// (its owner), and every rank gets all results. Algorithms know ranks, ranges and nothing else. Each moves exactly
/// 2 (N-1) n elements in total, whatever n and N. Pure; any thread.
/// Sources: Patarasuk and Yuan 2009 (ring); Rabenseifner 2004 and Thakur, Rabenseifner and Gropp 2005 (halving and
/// doubling, and the binomial tree).
///
/// The order of the sum, which is the law for its bits (f_r g_r: what rank r has, times its factor):
///   ring              part c:  ((f_c g_c) + f_c+1 g_c+1) + ..., ranks modulo N
///   halving_doubling  P is the greatest power of two up to N. First f_r g_r + f_r+P g_r+P for each r + P < N;
///                     then, d = P/2, P/4, ..., 1: the sum of r and that of the rank whose number differs in bit d
///   tree              each rank: its own, then the sums of ranks r+1, r+2, r+4, ... below it
///   direct            f_0 g_0, f_1 g_1, ...: one after another
/// Ranks that have nothing are left out.

#include <cstdint>
#include <vector>

#include "base/random.hpp"  // Index

namespace dtrain::collective {

enum class Algorithm {
  ring,              ///< least bytes a link; N-1 hops each way
  halving_doubling,  ///< the same bytes at powers of two, log2 N hops; other ranks hand all to a partner first
  tree,              ///< log2 N hops of everything: for few elements
  direct             ///< every part straight to its owner and back: one hop, N-1 partners
};
const char* name(Algorithm algorithm);

/// By sizes and numbers only, as measured by tests/bench/allreduce.cpp: beyond two ranks a tree for up to 16,384
/// elements (the fewest messages); for more, direct up to 8 ranks (the fewest passes over memory, and one hop each
/// way); beyond, where every rank would talk to too many, halving and doubling at powers of two and else a ring.
Algorithm choose(Index elements, int ranks);

/// Elements [begin, end).
struct Range {
  Index begin = 0, end = 0;
  Index count() const { return end - begin; }
  bool operator==(const Range&) const = default;
};

struct Move {
  enum class What : std::uint8_t {
    send_sum,     ///< what has been summed of the range so far, to `peer`
    fold,         ///< `peer`'s sum is added
    finish,       ///< the range is summed over all ranks: its owner makes the result
    send_result,  ///< to `peer`
    take_result   ///< from `peer`
  };
  What what;
  int peer;
  Range range;
  bool operator==(const Move&) const = default;
};

/// How many parts a vector is cut into, and who owns one.
int parts(Algorithm algorithm, int ranks);
int owner(Algorithm algorithm, int part, int ranks);

/// Borders of the parts of [begin, end), nearly equal; all but the last end on multiples of `unit` from `begin`.
std::vector<Index> even_borders(Algorithm algorithm, int ranks, Range range, Index unit = 1);

/// What `rank` does. `borders`: parts() + 1 of them, ascending.
std::vector<Move> moves(Algorithm algorithm, int rank, int ranks, const std::vector<Index>& borders);

}  // namespace dtrain::collective
