#include "daemon/api.hpp"

namespace keyshift::daemon {

std::string_view status_page()
{
    static constexpr std::string_view kPage = R"page(<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>Keyshift</title>
<link rel="stylesheet" href="status.css"><script src="status.js" defer></script></head>
<body><h1>Keyshift</h1><div id="when">asking...</div><div id="all"></div>
<noscript>This page needs JavaScript; the same is in <a href="v1/status">v1/status</a>.</noscript></body></html>
)page";
    return kPage;
}

std::string_view status_style()
{
    static constexpr std::string_view kStyle =
        R"page(body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:60rem;padding:0 1rem;color:#1a2733;background:#fafbfc}
h1{font-size:1.4rem;margin:0}h2{font-size:1rem;margin:2rem 0 .4rem;color:#47606f}
table{border-collapse:collapse;width:100%}th{text-align:left;font-weight:600;color:#47606f}
td,th{padding:.25rem .8rem .25rem 0;border-bottom:1px solid #e3e9ed}td.n{text-align:right;font-variant-numeric:tabular-nums}
.bad{color:#b3261e;font-weight:600}.good{color:#1b7a3d}#when{color:#7a8b97}
@media(prefers-color-scheme:dark){body{color:#dfe7ec;background:#14191d}td,th{border-color:#2b343b}h2,th{color:#93a7b4}}
)page";
    return kStyle;
}

std::string_view status_script()
{
    static constexpr std::string_view kScript =
        R"page(const good=["streaming","active","live","done","running"];
function cell(v,k){const d=document.createElement("td");if(v===null||v===undefined)v="-";
 if(typeof v==="object"){v=v.why?v.what+": "+v.why:JSON.stringify(v);if(v==="[]")v="-";}
 if(typeof v==="number")d.className="n";if(k==="state")d.className=good.includes(v)?"good":"bad";d.textContent=v;return d;}
function table(title,rows,keys){const s=document.createElement("section"),h=document.createElement("h2");h.textContent=title;s.append(h);
 if(!rows||!rows.length){s.append("none");return s;}
 const t=document.createElement("table"),head=t.insertRow();for(const k of keys){const th=document.createElement("th");th.textContent=k.replaceAll("_"," ");head.append(th);}
 for(const r of rows){const tr=t.insertRow();for(const k of keys)tr.append(cell(r[k],k));}s.append(t);return s;}
async function show(){try{const r=await(await fetch("v1/status")).json(),a=document.getElementById("all");
 a.replaceChildren(table("Workers in trouble",r.workers,["name","state","error"]),
 table("Streams",r.streams,["node","state","lag_bytes","lag_seconds","retained_bytes","error"]),
 table("Snapshots",(r.streams||[]).flatMap(s=>(s.snapshots||[]).map(x=>({node:s.node,...x}))),["node","table","state","rows","estimate","rows_per_second","error"]),
 table("Reshard jobs",r.jobs,["job","state","moved","total","error"]),
 table("Projections",r.projections,["name","state","lag_seconds","rejections","error"]));
 document.getElementById("when").textContent="version "+(r.daemon.version||"?")+", at "+new Date().toLocaleTimeString();}
 catch(e){document.getElementById("when").textContent="the daemon does not answer: "+e;}}
show();setInterval(show,2000);
)page";
    return kScript;
}

} // namespace keyshift::daemon
