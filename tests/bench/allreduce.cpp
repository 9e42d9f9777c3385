/// What it costs processes of this machine to have the sum of all their vectors, over this project's collectives and
/// sockets; or to push gradients to a server and get new weights.
///
/// Run: allreduce [--transport shared|ipc|tcp] [--ranks N] [--algorithm ring|halving_doubling|tree|direct|auto|server]
///        [--bytes B] [--bucket BYTES] [--spin MICROSECONDS] [--samples K]; what is left out: a table of all.
/// Every vector is cut into buckets, which are all begun at once, as after a backward. `server`: N workers push pieces
/// of that size to one more process, which folds them when all are there and sends weights to all.
/// Prints a line each: ranks, transport, algorithm, bytes, milliseconds of one exchange (median and least of groups),
/// CPU milliseconds of all ranks together. Ends with 1 if a sum is wrong.

#include <pthread.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "base/time.hpp"
#include "collective/exchange.hpp"
#include "wire/socket.hpp"

using namespace dtrain;
using namespace dtrain::wire;
using collective::Algorithm;
using collective::Range;

namespace {

constexpr std::uint64_t nonce = 1;
constexpr int most_ranks = 16, most_samples = 64, warm_up = 3;

struct Setting {
  std::string transport, algorithm;
  int ranks = 2;
  std::size_t bytes = 0, bucket = 0;
  double spin_seconds = 0;
  int samples = 15;

  bool shares() const { return transport == "shared"; }
  /// Measured: where floats travel, pieces of 1 MiB do so while others are folded; where they stay, each message costs
  /// more than that gains.
  std::size_t bucket_bytes() const { return bucket > 0 ? bucket : shares() ? 4 * piece_bytes : piece_bytes; }
  bool has_server() const { return algorithm == "server"; }
  int processes() const { return has_server() ? ranks + 1 : ranks; }
  Index count() const { return static_cast<Index>(bytes / sizeof(float)); }
  int repetitions() const { return static_cast<int>(std::clamp<std::size_t>(30'000'000 / bytes, 3, 200)); }
  std::vector<Range> buckets() const {
    std::vector<Range> all;
    const auto step = static_cast<Index>(bucket_bytes() / sizeof(float));
    for (Index begin = 0; begin < count(); begin += step) all.push_back({begin, std::min(begin + step, count())});
    return all;
  }
};

/// What the processes of one measurement see together.
struct Board {
  pthread_barrier_t barrier{};
  char folder[64]{};
  char endpoints[most_ranks + 1][128]{};
  double milliseconds[most_samples]{};
  bool wrong = false;

  explicit Board(int processes) {
    pthread_barrierattr_t shared;
    pthread_barrierattr_init(&shared);
    pthread_barrierattr_setpshared(&shared, PTHREAD_PROCESS_SHARED);
    pthread_barrier_init(&barrier, &shared, static_cast<unsigned>(processes));
    const std::string name = std::filesystem::temp_directory_path() / "dtrain-XXXXXX";
    name.copy(folder, sizeof folder - 1);
    if (::mkdtemp(folder) == nullptr) std::abort();
  }
  ~Board() { std::filesystem::remove_all(folder); }
  Board(const Board&) = delete;
  Board& operator=(const Board&) = delete;
  void wait() { pthread_barrier_wait(&barrier); }
};

std::size_t at(Index k) { return static_cast<std::size_t>(k); }

std::span<float> part(Arena& arena, const Range& range) {
  return arena.span().subspan(at(range.begin), at(range.count()));
}

Range range_of(const Header& header) {
  return {static_cast<Index>(header.offset), static_cast<Index>(header.offset + header.count)};
}

Header header_of(Type type, const Range& range, std::size_t piece) {
  Header header;
  header.type = type;
  header.piece = static_cast<std::uint32_t>(piece);
  header.pieces = header.piece + 1;
  header.offset = static_cast<std::uint64_t>(range.begin);
  header.count = static_cast<std::uint64_t>(range.count());
  return header;
}

float value_of(int rank, Index k) { return static_cast<float>((rank + 1) * (1 + k % 7)); }

/// Readers of shared memory do not say when they have let go; they seldom have not by now.
void wait_until_idle(const InFlight& in_flight) {
  while (!in_flight.idle()) ::sched_yield();
}

/// What is sent, and for how long it must stay. Outlives the sockets.
struct Version {
  Arena values;
  InFlight in_flight;
};

/// Sockets of one process: a door for what comes, and one to each other.
class End {
 public:
  End(const Setting& setting, Board& board, SharedMemory& memory, Role role, int rank)
      : setting_(setting), memory_(memory), door_(context_, Socket::Pattern::router, "") {
    self_ = {role, static_cast<std::uint32_t>(rank), nonce, 1, 1};
    if (setting.shares()) door_.share(memory);
    const std::string path = fmt::format("ipc://{}/{}", board.folder, rank);
    const std::string endpoint = door_.bind(setting.transport == "tcp" ? "tcp://127.0.0.1:*" : path);
    endpoint.copy(board.endpoints[rank], sizeof board.endpoints[rank] - 1);
    poller_.add(door_);
    board.wait();
    for (int to = 0; to < setting.processes(); ++to) connect(to, board.endpoints[to]);
  }

  void send(int to, const Header& header, std::span<const float> values, InFlight& in_flight) {
    if (!others_[at(to)]->send_floats(self_, header, values, in_flight)) std::abort();
  }
  Message next() {
    for (auto since = Clock::now();;) {
      if (auto message = door_.receive(nonce)) return std::move(*message);
      if (seconds_since(since) < setting_.spin_seconds) continue;
      poller_.wait(1000);
      since = Clock::now();
    }
  }

 private:
  void connect(int to, const std::string& endpoint) {
    others_.push_back(std::make_unique<Socket>(context_, Socket::Pattern::dealer, fmt::format("rank-{}", self_.rank)));
    if (setting_.shares()) others_.back()->share(memory_);
    if (to != static_cast<int>(self_.rank)) others_.back()->connect(endpoint);
  }

  const Setting& setting_;
  SharedMemory& memory_;
  Context context_;
  Socket door_;
  std::vector<std::unique_ptr<Socket>> others_;
  Self self_;
  Poller poller_;
};

/// One process: what is done again and again, and whether the last result was right.
class Process {
 public:
  Process(const Setting& setting, int rank) : setting_(setting), rank_(rank) {
    for (Version* version : {&own_, &versions_[0], &versions_[1]}) version->values = arena();
    for (Index k = 0; k < setting.count(); ++k) own_.values.data()[k] = value_of(rank, k);
  }
  virtual ~Process() = default;
  virtual void exchange() = 0;
  virtual bool right() = 0;

 protected:
  Arena arena() { return setting_.shares() ? memory_.arena(setting_.count()) : Arena(setting_.count()); }
  Version& result() { return versions_[now_]; }
  /// The result of the next round is another arena, as another version of weights is.
  void turn() {
    now_ = 1 - now_;
    wait_until_idle(own_.in_flight);
    wait_until_idle(result().in_flight);
  }
  bool result_is(float factor) {
    for (Index k = 0; k < setting_.count(); ++k) {
      float sum = 0;
      for (int r = 0; r < setting_.ranks; ++r) sum += value_of(r, k);
      if (result().values.data()[k] != factor * sum) return false;
    }
    return true;
  }

  const Setting& setting_;
  const int rank_;
  SharedMemory memory_;
  Version own_;
  std::array<Version, 2> versions_;
  std::size_t now_ = 0;
};

class Rank final : public Process {
 public:
  Rank(const Setting& setting, Board& board, int rank)
      : Process(setting, rank),
        own_as_it_was_(own_.values.span().begin(), own_.values.span().end()),
        end_(setting, board, memory_, Role::worker, rank) {
    for (const Range& bucket : setting.buckets()) lanes_.emplace_back(*this, bucket, lanes_.size());
  }

  void exchange() override {
    turn();
    for (Lane& lane : lanes_) lane.exchange.begin(own_.values.data(), 1.f, 0);
    while (!std::all_of(lanes_.begin(), lanes_.end(), [](const Lane& lane) { return lane.exchange.done(); })) take();
    for (Lane& lane : lanes_) lane.exchange.reset();
  }
  /// Sums have been made in place since the values were set.
  bool right() override {
    wait_until_idle(own_.in_flight);
    std::copy(own_as_it_was_.begin(), own_as_it_was_.end(), own_.values.data());
    exchange();
    return result_is(1);
  }

 private:
  struct Lane final : collective::Port {
    Lane(Rank& of, const Range& range, std::size_t number)
        : rank(of), piece(number), exchange(of.algorithm(), of.rank_, of.setting_.ranks, of.borders(range), *this) {}
    void send_sum(int to, const Range& range, const Share& sum, std::uint32_t) override {
      Header header = header_of(Type::partial, range, piece);
      header.note = std::bit_cast<std::uint32_t>(sum.factor);
      rank.end_.send(to, header, {sum.data, at(range.count())}, rank.own_.in_flight);
    }
    bool finish(const Range& range, std::span<const Share> shares) override {
      fold(shares, part(rank.result().values, range));
      return true;
    }
    void send_result(int to, const Range& range, std::uint32_t) override {
      Version& result = rank.result();
      rank.end_.send(to, header_of(Type::result, range, piece), part(result.values, range), result.in_flight);
    }
    void take_result(const Range& range, const collective::Parcel& result) override {
      std::copy_n(result.values, range.count(), rank.result().values.data() + range.begin);
    }
    Rank& rank;
    std::size_t piece;
    collective::Exchange exchange;
  };

  Algorithm algorithm() const {
    for (const auto one : {Algorithm::ring, Algorithm::halving_doubling, Algorithm::tree, Algorithm::direct})
      if (setting_.algorithm == name(one)) return one;
    return collective::choose(setting_.count(), setting_.ranks);
  }
  std::vector<Index> borders(const Range& range) const {
    return collective::even_borders(algorithm(), setting_.ranks, range, 16);
  }
  void take() {
    const auto message = std::make_shared<Message>(end_.next());
    const Header& header = message->header;
    const bool partial = header.type == Type::partial;
    const float factor = partial ? std::bit_cast<float>(static_cast<std::uint32_t>(header.note)) : 1;
    lanes_.at(header.piece)
        .exchange.receive(static_cast<int>(header.sender_rank),
                          {range_of(header), static_cast<const float*>(message->data()), factor, 0, message});
  }

  std::vector<float> own_as_it_was_;
  End end_;
  std::deque<Lane> lanes_;
};

/// Pushes, and takes the weights that come of it.
class Worker final : public Process {
 public:
  Worker(const Setting& setting, Board& board, int rank)
      : Process(setting, rank), end_(setting, board, memory_, Role::worker, rank), pieces_(setting.buckets()) {}
  void exchange() override {
    turn();
    for (std::size_t k = 0; k < pieces_.size(); ++k)
      end_.send(setting_.ranks, header_of(Type::push, pieces_[k], k), part(own_.values, pieces_[k]), own_.in_flight);
    for (std::size_t k = 0; k < pieces_.size(); ++k) {
      const Message message = end_.next();
      std::memcpy(result().values.data() + message.header.offset, message.data(), message.size());
    }
  }
  bool right() override { return result_is(1 / static_cast<float>(setting_.ranks)); }

 private:
  End end_;
  std::vector<Range> pieces_;
};

/// Folds when all is there, in one pass that reads the old weights too, and sends to all.
class Server final : public Process {
 public:
  Server(const Setting& setting, Board& board, int rank)
      : Process(setting, rank), end_(setting, board, memory_, Role::server, rank), pieces_(setting.buckets()) {}
  void exchange() override {
    std::vector<std::vector<Message>> pushes(pieces_.size());
    for (auto& piece : pushes) piece.resize(at(setting_.ranks));
    for (std::size_t k = 0; k < pieces_.size() * at(setting_.ranks); ++k) {
      Message message = end_.next();
      pushes[message.header.piece][message.header.sender_rank] = std::move(message);
    }
    Arena& before = result().values;
    turn();
    for (std::size_t k = 0; k < pieces_.size(); ++k) {
      std::vector<Share> shares{{before.data() + pieces_[k].begin, 0}};
      for (const Message& push : pushes[k])
        shares.push_back({static_cast<const float*>(push.data()), 1 / static_cast<float>(setting_.ranks)});
      fold(shares, part(result().values, pieces_[k]));
      pushes[k].clear();
      for (int to = 0; to < setting_.ranks; ++to)
        end_.send(to, header_of(Type::weights, pieces_[k], k), part(result().values, pieces_[k]), result().in_flight);
    }
  }
  bool right() override { return true; }

 private:
  End end_;
  std::vector<Range> pieces_;
};

std::unique_ptr<Process> make_process(const Setting& setting, Board& board, int rank) {
  if (!setting.has_server()) return std::make_unique<Rank>(setting, board, rank);
  if (rank < setting.ranks) return std::make_unique<Worker>(setting, board, rank);
  return std::make_unique<Server>(setting, board, rank);
}

void act(const Setting& setting, Board& board, int rank) {
  const std::unique_ptr<Process> process = make_process(setting, board, rank);
  for (int sample = -warm_up; sample < setting.samples; ++sample) {
    board.wait();
    const auto start = Clock::now();
    for (int k = 0; k < setting.repetitions(); ++k) process->exchange();
    if (rank == 0 && sample >= 0) board.milliseconds[sample] = 1e3 * seconds_since(start) / setting.repetitions();
  }
  if (setting.has_server() ? !process->right() : (board.wait(), !process->right())) board.wrong = true;
  board.wait();
}

double cpu_milliseconds() {
  rusage use{};
  getrusage(RUSAGE_CHILDREN, &use);
  const auto milliseconds = [](const timeval& t) {
    return 1e3 * static_cast<double>(t.tv_sec) + 1e-3 * static_cast<double>(t.tv_usec);
  };
  return milliseconds(use.ru_utime) + milliseconds(use.ru_stime);
}

/// False if a sum was wrong or a process ended early.
bool measure(const Setting& setting) {
  void* memory = ::mmap(nullptr, sizeof(Board), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  Board& board = *new (memory) Board(setting.processes());
  const double cpu = cpu_milliseconds();
  for (int rank = 0; rank < setting.processes(); ++rank)
    if (::fork() == 0) {
      act(setting, board, rank);
      std::exit(0);
    }
  bool good = true;
  for (int status = 0; ::wait(&status) > 0;) good = good && status == 0;
  std::sort(board.milliseconds, board.milliseconds + setting.samples);
  fmt::print("{:<5} {:<9} {:<16} {:>9} {:>10.3f} {:>10.3f} {:>10.3f}{}\n", setting.ranks, setting.transport,
             setting.algorithm, setting.bytes, board.milliseconds[setting.samples / 2], board.milliseconds[0],
             (cpu_milliseconds() - cpu) / (setting.repetitions() * (setting.samples + warm_up)),
             good && !board.wrong ? "" : "  WRONG");
  std::fflush(stdout);
  good = good && !board.wrong;
  board.~Board();
  ::munmap(memory, sizeof(Board));
  return good;
}

/// Values of one option, or all there are.
using Options = std::map<std::string, std::string>;
std::vector<std::string> given(const Options& options, const std::string& key, std::vector<std::string> otherwise) {
  const auto found = options.find("--" + key);
  return found == options.end() ? otherwise : std::vector<std::string>{found->second};
}

}  // namespace

int main(int argc, char** argv) {
  keep_large_blocks();
  Options options;
  for (int k = 1; k + 1 < argc; k += 2) options[argv[k]] = argv[k + 1];
  Setting setting;
  setting.bucket = std::stoull(given(options, "bucket", {"0"})[0]);
  setting.spin_seconds = 1e-6 * std::stod(given(options, "spin", {"0"})[0]);
  setting.samples = std::clamp(std::stoi(given(options, "samples", {"15"})[0]), 1, most_samples);
  fmt::print("{:<5} {:<9} {:<16} {:>9} {:>10} {:>10} {:>10}\n", "ranks", "transport", "algorithm", "bytes", "ms",
             "least ms", "cpu ms");
  std::fflush(stdout);
  bool good = true;
  for (const std::string& ranks : given(options, "ranks", {"2", "4"}))
    for (const std::string& transport : given(options, "transport", {"shared", "ipc", "tcp"}))
      for (const std::string& bytes :
           given(options, "bytes", {"4096", "65536", "1048576", "2678824", "16777216", "67108864"}))
        for (const std::string& algorithm :
             given(options, "algorithm", {"ring", "halving_doubling", "tree", "direct", "server"})) {
          setting.ranks = std::clamp(std::stoi(ranks), 1, most_ranks);
          setting.transport = transport, setting.algorithm = algorithm, setting.bytes = std::stoull(bytes);
          good = measure(setting) && good;
        }
  return good ? 0 : 1;
}
