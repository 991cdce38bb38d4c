#include "server/log.h"

#include <spdlog/details/os.h>
#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/base_sink.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <mutex>

namespace varve::server {
namespace {

class LevelMark : public spdlog::custom_flag_formatter {
 public:
  void format(const spdlog::details::log_msg& message, const std::tm&,
              spdlog::memory_buf_t& out) override {
    out.push_back(message.level == spdlog::level::trace   ? '.'
                  : message.level == spdlog::level::debug ? '-'
                  : message.level == spdlog::level::info  ? '*'
                                                          : '#');
  }
  std::unique_ptr<custom_flag_formatter> clone() const override {
    return std::make_unique<LevelMark>();
  }
};

class AppendingFileSink : public spdlog::sinks::base_sink<std::mutex> {
 public:
  explicit AppendingFileSink(std::string path) : path_(std::move(path)) {}

 private:
  void sink_it_(const spdlog::details::log_msg& message) override {
    spdlog::memory_buf_t line;
    formatter_->format(message, line);
    std::FILE* file = std::fopen(path_.c_str(), "ae");
    if (file == nullptr) return;  // nowhere left to say so
    std::fwrite(line.data(), 1, line.size(), file);
    std::fclose(file);
  }
  void flush_() override {}

  const std::string path_;
};

}  // namespace

engine::Result<std::shared_ptr<spdlog::logger>> OpenLog(const std::string& path, LogLevel level) {
  spdlog::sink_ptr sink;
  if (path.empty()) {
    sink = std::make_shared<spdlog::sinks::stdout_sink_mt>();
  } else {
    std::FILE* file = std::fopen(path.c_str(), "ae");
    if (file == nullptr) {
      return engine::Fail(engine::Errc::kInvalidArgument, "Can't open the log file '{}': {}", path,
                          std::strerror(errno));
    }
    std::fclose(file);
    sink = std::make_shared<AppendingFileSink>(path);
  }
  auto formatter = std::make_unique<spdlog::pattern_formatter>();
  formatter->add_flag<LevelMark>('*').set_pattern("%P:M %d %b %Y %H:%M:%S.%e %* %v");
  sink->set_formatter(std::move(formatter));
  auto log = std::make_shared<spdlog::logger>("varve", std::move(sink));
  log->flush_on(spdlog::level::trace);  // lines are rare, and the last ones matter most
  SetLogLevel(*log, level);
  return log;
}

void SetLogLevel(spdlog::logger& log, LogLevel level) {
  switch (level) {
    case LogLevel::kDebug:
      return log.set_level(spdlog::level::trace);
    case LogLevel::kVerbose:
      return log.set_level(spdlog::level::debug);
    case LogLevel::kNotice:
      return log.set_level(spdlog::level::info);
    case LogLevel::kWarning:
      return log.set_level(spdlog::level::warn);
  }
}

}  // namespace varve::server
