#include "collective/moves.hpp"

#include <algorithm>
#include <bit>
#include <stdexcept>

namespace dtrain::collective {
namespace {

using What = Move::What;

constexpr Index few_elements = 16384;
constexpr int few_ranks = 8;

int power_of_two_up_to(int ranks) { return static_cast<int>(std::bit_floor(static_cast<unsigned>(ranks))); }

Range part(const std::vector<Index>& borders, int first, int end) {
  return {borders[static_cast<std::size_t>(first)], borders[static_cast<std::size_t>(end)]};
}

std::vector<Move> ring(int rank, int ranks, const std::vector<Index>& borders) {
  std::vector<Move> moves;
  const int next = (rank + 1) % ranks, last = (rank + ranks - 1) % ranks;
  const auto at = [&](int k) {
    const int c = ((rank - k) % ranks + ranks) % ranks;
    return part(borders, c, c + 1);
  };
  for (int k = 0; k + 1 < ranks; ++k) {
    moves.push_back({What::send_sum, next, at(k)});
    moves.push_back({What::fold, last, at(k + 1)});
  }
  moves.push_back({What::finish, rank, at(ranks - 1)});
  for (int k = 0; k + 1 < ranks; ++k) {
    moves.push_back({What::send_result, next, at(k - 1)});
    moves.push_back({What::take_result, last, at(k)});
  }
  return moves;
}

/// Among P ranks, a power of two; those beyond hand all they have to a partner, and get all results from it.
std::vector<Move> halving_doubling(int rank, int ranks, const std::vector<Index>& borders) {
  const int power = power_of_two_up_to(ranks);
  const Range all = part(borders, 0, power);
  if (rank >= power) return {{What::send_sum, rank - power, all}, {What::take_result, rank - power, all}};
  std::vector<Move> moves, doubling;
  const bool has_partner = rank + power < ranks;
  if (has_partner) moves.push_back({What::fold, rank + power, all});
  int first = 0, end = power;
  for (int distance = power / 2; distance > 0; distance /= 2) {
    const int peer = rank ^ distance, middle = first + distance;
    const bool upper = (rank & distance) != 0;
    const Range theirs = upper ? part(borders, first, middle) : part(borders, middle, end);
    (upper ? first : end) = middle;
    const Range ours = part(borders, first, end);
    moves.push_back({What::send_sum, peer, theirs});
    moves.push_back({What::fold, peer, ours});
    doubling.push_back({What::take_result, peer, theirs});
    doubling.push_back({What::send_result, peer, ours});
  }
  moves.push_back({What::finish, rank, part(borders, rank, rank + 1)});
  moves.insert(moves.end(), doubling.rbegin(), doubling.rend());
  if (has_partner) moves.push_back({What::send_result, rank + power, all});
  return moves;
}

std::vector<Move> tree(int rank, int ranks, const std::vector<Index>& borders) {
  const Range all = part(borders, 0, 1);
  std::vector<Move> up, down;
  for (int below = 1; below < ranks; below *= 2) {
    if ((rank & below) != 0) {
      up.push_back({What::send_sum, rank - below, all});
      down.push_back({What::take_result, rank - below, all});
      break;
    }
    if (rank + below >= ranks) continue;
    up.push_back({What::fold, rank + below, all});
    down.push_back({What::send_result, rank + below, all});
  }
  if (rank == 0) up.push_back({What::finish, 0, all});
  up.insert(up.end(), down.rbegin(), down.rend());
  return up;
}

std::vector<Move> direct(int rank, int ranks, const std::vector<Index>& borders) {
  std::vector<Move> moves;
  const auto of = [&](int owner) { return part(borders, owner, owner + 1); };
  for (int k = 1; k < ranks; ++k) {
    const int to = (rank + k) % ranks;
    moves.push_back({What::send_sum, to, of(to)});
  }
  for (int from = 0; from < ranks; ++from)
    if (from != rank) moves.push_back({What::fold, from, of(rank)});
  moves.push_back({What::finish, rank, of(rank)});
  for (int k = 1; k < ranks; ++k) moves.push_back({What::send_result, (rank + k) % ranks, of(rank)});
  for (int from = 0; from < ranks; ++from)
    if (from != rank) moves.push_back({What::take_result, from, of(from)});
  return moves;
}

}  // namespace

const char* name(Algorithm algorithm) {
  switch (algorithm) {
    case Algorithm::ring: return "ring";
    case Algorithm::halving_doubling: return "halving_doubling";
    case Algorithm::tree: return "tree";
    case Algorithm::direct: return "direct";
  }
  throw std::logic_error("an algorithm without a name");
}

Algorithm choose(Index elements, int ranks) {
  if (elements <= few_elements && ranks > 2) return Algorithm::tree;
  if (ranks <= few_ranks) return Algorithm::direct;
  return ranks == power_of_two_up_to(ranks) ? Algorithm::halving_doubling : Algorithm::ring;
}

int parts(Algorithm algorithm, int ranks) {
  if (algorithm == Algorithm::tree) return 1;
  return algorithm == Algorithm::halving_doubling ? power_of_two_up_to(ranks) : ranks;
}

int owner(Algorithm algorithm, int part, int ranks) {
  return algorithm == Algorithm::ring ? (part + ranks - 1) % ranks : part;
}

std::vector<Index> even_borders(Algorithm algorithm, int ranks, Range range, Index unit) {
  const Index count = parts(algorithm, ranks), units = (range.count() + unit - 1) / unit;
  std::vector<Index> borders;
  for (Index c = 0; c < count; ++c) borders.push_back(std::min(range.end, range.begin + units * c / count * unit));
  borders.push_back(range.end);
  return borders;
}

std::vector<Move> moves(Algorithm algorithm, int rank, int ranks, const std::vector<Index>& borders) {
  switch (algorithm) {
    case Algorithm::ring: return ring(rank, ranks, borders);
    case Algorithm::halving_doubling: return halving_doubling(rank, ranks, borders);
    case Algorithm::tree: return tree(rank, ranks, borders);
    case Algorithm::direct: return direct(rank, ranks, borders);
  }
  throw std::logic_error("an algorithm without moves");
}

}  // namespace dtrain::collective
