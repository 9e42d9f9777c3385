/// What one training step's exchange costs over this project's sockets: a worker sends BYTES in pieces, zero-copy, and
/// receives as much from its server, which
///   together    sends its own at once (both directions are busy: the limit),
///   by_piece    returns each piece when it has come (a server that folds piece by piece),
///   after_all   returns all when all has come (a server that folds at the end of a step).
///
/// Run: transport [ENDPOINT [BYTES [PIECE_BYTES [IO_THREADS [SPIN_MICROSECONDS]]]]]; without arguments, a table of
/// endpoints and pieces. ENDPOINT `ipc` chooses a path. Spinning: looks for messages so long before it sleeps in poll.
/// Prints milliseconds per exchange (median, least, most of 15 samples), CPU milliseconds per exchange of both
/// processes and all their threads, and microseconds of a round trip without payload.

#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "base/time.hpp"
#include "wire/socket.hpp"

using namespace dtrain;
using namespace dtrain::wire;

namespace {

struct Setting {
  std::string endpoint;
  std::size_t bytes = 669706 * sizeof(float);  // 784-512-512-10
  std::size_t piece = piece_bytes;
  int io_threads = 1;
  double spin_seconds = 0;
};

enum class Answer { together, by_piece, after_all };

struct Result {
  std::vector<double> milliseconds;
  double cpu_milliseconds = 0;
  double round_trip_microseconds = 0;
};

double cpu_seconds(int who) {
  rusage use{};
  getrusage(who, &use);
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + 1e-6 * static_cast<double>(t.tv_usec);
  };
  return seconds(use.ru_utime) + seconds(use.ru_stime);
}

/// One end: sends its vector, takes the other's.
class End {
 public:
  End(const Setting& setting, Role role)
      : setting_(setting),
        context_(setting.io_threads),
        socket_(context_, role == Role::server ? Socket::Pattern::router : Socket::Pattern::dealer,
                role == Role::server ? "" : "worker"),
        values_(setting.bytes / sizeof(float), 1.f),
        received_(values_.size()) {
    self_.role = role;
    self_.nonce = 1;
    poller_.add(socket_);
  }

  std::string bind() { return socket_.bind(setting_.endpoint); }
  void connect(const std::string& endpoint) { socket_.connect(endpoint); }

  void send_piece(std::size_t at, std::size_t count) {
    Header header;
    header.type = Type::push;
    header.offset = at;
    header.count = count;
    socket_.send_floats(self_, header, std::span(values_).subspan(at, count), in_flight_, peer_);
  }

  void send_all() {
    const std::size_t piece = setting_.piece / sizeof(float);
    for (std::size_t at = 0; at < values_.size(); at += piece) send_piece(at, std::min(piece, values_.size() - at));
  }

  /// Takes the other's vector and reads it once, as a fold would. `returning`: sends each piece back.
  void receive_all(bool returning = false) {
    for (std::size_t got = 0; got < values_.size();) {
      const Message message = next();
      const auto* floats = static_cast<const float*>(message.payload.data());
      float* to = received_.data() + message.header.offset;
      for (std::size_t k = 0; k < message.header.count; ++k) to[k] += floats[k];
      got += message.header.count;
      if (returning) send_piece(message.header.offset, message.header.count);
    }
  }

  void note() {
    Header header;
    header.type = Type::pull;
    socket_.send(self_, header, std::string_view(), peer_);
  }

  Message next() {
    auto spinning_since = Clock::now();
    for (;;) {
      if (auto message = socket_.receive(1)) {
        peer_ = message->peer;
        return std::move(*message);
      }
      if (setting_.spin_seconds > 0 && seconds_since(spinning_since) < setting_.spin_seconds) continue;
      poller_.wait(1000);
      spinning_since = Clock::now();
    }
  }

 private:
  Setting setting_;
  Context context_;
  InFlight in_flight_;
  Socket socket_;
  Self self_;
  Poller poller_;
  std::vector<float> values_, received_;
  std::string peer_ = "worker";
};

constexpr int samples = 15, warm_up = 20, repetitions = 25, round_trips = 500;

void serve(const Setting& setting, Answer answer, int endpoint_pipe) {
  End end(setting, Role::server);
  std::string endpoint = end.bind();
  endpoint.push_back('\n');
  if (::write(endpoint_pipe, endpoint.data(), endpoint.size()) < 0) std::abort();
  for (int k = 0; k < warm_up + samples * repetitions; ++k) {
    end.next();
    if (answer == Answer::together) end.send_all();
    end.receive_all(answer == Answer::by_piece);
    if (answer == Answer::after_all) end.send_all();
  }
  for (int k = 0; k < round_trips; ++k) {
    end.next();
    end.note();
  }
}

Result ask(const Setting& setting, int endpoint_pipe) {
  End end(setting, Role::worker);
  std::string endpoint;
  for (char c; ::read(endpoint_pipe, &c, 1) == 1 && c != '\n';) endpoint.push_back(c);
  end.connect(endpoint);
  const auto exchange = [&] {
    end.note();
    end.send_all();
    end.receive_all();
  };
  for (int k = 0; k < warm_up; ++k) exchange();
  Result result;
  const double cpu = cpu_seconds(RUSAGE_SELF);
  for (int sample = 0; sample < samples; ++sample) {
    const auto start = Clock::now();
    for (int k = 0; k < repetitions; ++k) exchange();
    result.milliseconds.push_back(1e3 * seconds_since(start) / repetitions);
  }
  result.cpu_milliseconds = 1e3 * (cpu_seconds(RUSAGE_SELF) - cpu) / (samples * repetitions);
  const auto start = Clock::now();
  for (int k = 0; k < round_trips; ++k) {
    end.note();
    end.next();
  }
  result.round_trip_microseconds = 1e6 * seconds_since(start) / round_trips;
  std::sort(result.milliseconds.begin(), result.milliseconds.end());
  return result;
}

Result run(const Setting& setting, Answer answer) {
  int pipe[2];
  if (::pipe(pipe) != 0) std::abort();
  const double cpu_before = cpu_seconds(RUSAGE_CHILDREN);
  const pid_t server = ::fork();
  if (server == 0) {
    serve(setting, answer, pipe[1]);
    std::exit(0);
  }
  Result result = ask(setting, pipe[0]);
  ::waitpid(server, nullptr, 0);
  result.cpu_milliseconds += 1e3 * (cpu_seconds(RUSAGE_CHILDREN) - cpu_before) / (warm_up + samples * repetitions);
  ::close(pipe[0]);
  ::close(pipe[1]);
  return result;
}

void measure(const Setting& setting) {
  for (const auto& [answer, name] :
       {std::pair(Answer::together, "together"), {Answer::by_piece, "by_piece"}, {Answer::after_all, "after_all"}}) {
    const Result result = run(setting, answer);
    fmt::print("{:<32} {:<10} {:>9} {:>8} {:>3} {:>7.2f} {:>6.2f} {:>6.2f} {:>7.2f} {:>8.1f}\n", setting.endpoint, name,
               setting.bytes, setting.piece, setting.io_threads, result.milliseconds[samples / 2],
               result.milliseconds.front(), result.milliseconds.back(), result.cpu_milliseconds,
               result.round_trip_microseconds);
    std::fflush(stdout);
  }
}

}  // namespace

int main(int argc, char** argv) {
  keep_large_blocks();
  const std::string path =
      (std::filesystem::temp_directory_path() / fmt::format("dtrain-transport-{}", ::getpid())).string();
  const std::string ipc = "ipc://" + path;
  fmt::print("{:<32} {:<10} {:>9} {:>8} {:>3} {:>7} {:>6} {:>6} {:>7} {:>8}\n", "endpoint", "answer", "bytes", "piece",
             "io", "ms", "least", "most", "cpu ms", "trip us");
  std::fflush(stdout);
  if (argc > 1) {
    Setting setting{.endpoint = std::string(argv[1]) == "ipc" ? ipc : argv[1]};
    if (argc > 2) setting.bytes = std::strtoull(argv[2], nullptr, 0);
    if (argc > 3) setting.piece = std::strtoull(argv[3], nullptr, 0);
    if (argc > 4) setting.io_threads = std::atoi(argv[4]);
    if (argc > 5) setting.spin_seconds = 1e-6 * std::atof(argv[5]);
    measure(setting);
  } else {
    for (const std::string& endpoint : {ipc, std::string("tcp://127.0.0.1:*")})
      for (const std::size_t piece : {256u << 10, 512u << 10, 1u << 20, 4u << 20})
        for (const int io_threads : {1, 2}) measure({.endpoint = endpoint, .piece = piece, .io_threads = io_threads});
  }
  std::filesystem::remove(path);
}
