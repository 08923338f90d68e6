#include "schedules/table.h"

#include <algorithm>

#include "base/error.h"

namespace backplane {

namespace curves {
ScheduleKind constant(), step(), exponential(), cosine();
}  // namespace curves

const std::vector<ScheduleKind>& schedules() {
  using namespace curves;
  static const std::vector<ScheduleKind> kAll{constant(), step(), exponential(), cosine()};
  return kAll;
}

config::Schema schedule_schema() {
  config::Schema schema = config::Schema::choice("schedule");
  for (const ScheduleKind& kind : schedules()) schema.alternative(kind.name, kind.options, kind.doc);
  return schema;
}

ScheduleCurve make_schedule_curve(const config::Node& choice, const ScheduleSpan& span) {
  const auto found = std::ranges::find(schedules(), choice.chosen(), &ScheduleKind::name);
  BP_ASSERT(found != schedules().end());
  return found->make(choice.choice(), span);
}

}  // namespace backplane
